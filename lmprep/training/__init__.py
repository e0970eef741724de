"""Training: batches, loop, optimizer, checkpoints and metrics; `pretraining.pretrain` runs it."""
