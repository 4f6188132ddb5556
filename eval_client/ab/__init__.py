"""Two models of one endpoint asked at once, so that whatever disturbs the machine disturbs both.

order        which arm goes first, at random and balanced
arm          one of the two: its plan, its results directory, what it is asked with
quality      both arms' samples, pair by pair
timed        both arms' timed requests, pair by pair
experiment   the whole, from settings to two results directories
"""
