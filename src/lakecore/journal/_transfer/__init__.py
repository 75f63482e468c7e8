"""Events out of and into other files and stores: export, import, archive, the cut of a backup."""
