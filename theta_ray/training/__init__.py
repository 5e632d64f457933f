"""Pairs of documents to adapters: mining, losses, distributed training, evaluation."""
