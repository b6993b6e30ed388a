"""Looking after the cache: what is there, whether it is whole, what one clip holds, what can go."""
