"""Word vectors: one vector for each word, whatever stands around it (word2vec, GloVe).

lmprep.vectors.settings   how they are trained
lmprep.vectors.work       datasets -> blocks of pairs, windows or counts
lmprep.vectors.kernels    a block -> its loss and the updates
lmprep.vectors.training   the run: epochs, checkpoints, the result as text and as tensors
lmprep.vectors.scores     how well a run predicts held-out rows
"""
