"""Signing and proofs: what makes the journal's record hold outside of the lake.

    segments -> leaves recomputed -> tiles -> checkpoint (signed, create-only) -> witnesses
                                       |           |
                                       +-----------+--> proofs of inclusion and consistency

=============  =====================================================================
`keys`         this machine's secret keys: a file in the state directory, never the lake
`files`        small files in the state directory, whole and durable
`leaves`       leaf hashes and canonical lines of sealed events
`tiles`        tiles above level 0, as they are stored
`checkpoints`  signed checkpoints, as they are stored, with their cosignatures
`signing`      the procedure that makes a checkpoint
`proofs`       proofs for an entry and between checkpoints
`witness`      what a witness is asked and what it answers, over HTTP
`prover`       the face of this room
=============  =====================================================================

All formats are C2SP's and in `lakecore.tlog`.
"""
