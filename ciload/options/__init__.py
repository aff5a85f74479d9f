"""Everything the user said, from all five places, as one frozen Plan; or every mistake at once.

flags > CILOAD_* environment > script `options` > YAML file > defaults
"""
