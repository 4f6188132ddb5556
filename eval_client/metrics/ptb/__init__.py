"""The lexer of the Penn Treebank caption tokenizer, as rules (data) and a small automaton that runs them."""
