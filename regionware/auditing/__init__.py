"""`regionware audit`: does an answer depend on something that is not in its key?"""
