"""Does a dataset hold what its settings promise?"""
