"""The path of a change: the rules are asked, the tier decides, people approve."""
