"""Readers: each turns one real format into Documents. None knows ids or a tokenizer."""
