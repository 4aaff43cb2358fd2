"""What a Redis, or whatever listens in its place, may reply."""

import random

from regionware.testing.scripted import NIL, bulk, granted

#: Errors of every kind that a Redis answers with, and some that it never would.
ERRORS = [
    b"LOADING Redis is loading the dataset in memory",
    b"READONLY You can't write against a read only replica.",
    b"OOM command not allowed when used memory > 'maxmemory'.",
    b"MOVED 3999 127.0.0.1:1",
    b"ASK 3999 127.0.0.1:1",
    b"CLUSTERDOWN Hash slot not served",
    b"TRYAGAIN Multiple keys request during rehashing of slot",
    b"NOAUTH Authentication required.",
    b"WRONGPASS invalid username-password pair or user is disabled.",
    b"NOPERM this user has no permissions to run the 'evalsha' command",
    b"WRONGTYPE Operation against a key holding the wrong kind of value",
    b"BUSY Redis is busy running a script.",
    b"MISCONF Redis is configured to save RDB snapshots",
    b"MASTERDOWN Link with MASTER is down",
    b"NOSCRIPT No matching script. Please use EVAL.",
    b"NOREPLICAS Not enough good replicas to write.",
    b"UNKILLABLE \xff\xfe",
    b"ERR max number of clients reached",
    b"EXECABORT Transaction discarded because of previous errors.",
    b"CROSSSLOT Keys in request don't hash to the same slot",
    b"",
]

#: Whole replies that are not what was asked for, by what they are.
REPLIES = {
    "a number": b":7\r\n",
    "a word": b"+OK\r\n",
    "nothing": b"$-1\r\n",
    "no list": NIL,
    "an empty list": b"*0\r\n",
    "a short list": b"*2\r\n" + bulk(b"0") + bulk(b""),
    "a long list": b"*5\r\n" + bulk(b"0") * 5,
    "a list of nothing": b"*4\r\n" + b"$-1\r\n" * 4,
    "a list of numbers": b"*4\r\n" + b":1\r\n" * 4,
    "a list of lists": b"*4\r\n" + b"*1\r\n:1\r\n" * 4,
    "a list of errors": b"*4\r\n" + b"-ERR no\r\n" * 4,
    "a stamp that is none": granted(stamp=b"soon"),
    "an empty stamp": granted(stamp=b""),
    "a huge stamp": granted(stamp=b"f" * 200),
    "a stamp below zero": granted(stamp=b"-1"),
    "a number for a frame": b"*4\r\n" + bulk(b"00") + b":7\r\n" + bulk(b"") + b":0\r\n",
    "a list for a frame": b"*4\r\n" + bulk(b"00") + b"*1\r\n:7\r\n" + bulk(b"") + b":0\r\n",
    "a pickle for a frame": granted(frame=b"cposix\nsystem\n(S'true'\ntR."),
    "a frame of noise": granted(frame=b"RWF1" + bytes(range(256)) + b"1FWR"),
    "a frame of digits": granted(frame=b"RWF1" + b"0" * 118 + b"1FWR"),
    "names that are none": granted(vary=b"\xff\xfe, ,\x00"),
    "too many names": granted(vary=b"a," * 5000),
    "noise": random.Random(7).randbytes(1000),
    "zeros": bytes(1000),
    "the web": b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n",
    "empty lines": b"\r\n" * 10,
    "a length out of reach": b"$99999999999999\r\n",
    "a list without an end": b"*1000000\r\n",
    "a length below zero": b"$-7\r\nab\r\n",
    "a length that is none": b"$x\r\nab\r\n",
    "very deep": b"*1\r\n" * 20_000,
    "a later protocol": b">2\r\n$7\r\nmessage\r\n$2\r\nhi\r\n",
    "two for one": granted() + b":1\r\n",
    "one hundred for one": granted() * 100,
}

#: Beginnings of replies.
HALVES = [b"", b"*", b"*4\r\n", b"*4\r\n$16\r\n00065", granted()[:-3], b"$100\r\nhalf", b"-ERR"]
