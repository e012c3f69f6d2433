"""The planted artefact: do maps find the evidence that a network is known to use?

The class's name is burned into clips, a network learns to read it, and that it does is proved by
swapping names. Then the place and the time of its evidence are known.
"""
