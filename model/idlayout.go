package model

import "time"

// An id has 63 bits: 41 of milliseconds since IDEpoch (until 2095), IDNodeBits of the node
// id, IDCounterBits of a counter within the millisecond. The layout is Twitter's Snowflake.
const (
	IDNodeBits    = 10
	IDCounterBits = 12
)

// IDEpoch is the beginning of the ids' time, in Unix milliseconds.
var IDEpoch = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC).UnixMilli()

// MadeAt is the time in an id. It may be some minutes ahead of the clock: a node that was killed leaves a
// reservation, above which the next holder of its node id begins.
func MadeAt[T ID](id T) Millis { return Millis(int64(id)>>(IDNodeBits+IDCounterBits) + IDEpoch) }

// MadeBy is the node that made an id.
func MadeBy[T ID](id T) NodeID { return NodeID(int64(id) >> IDCounterBits & (1<<IDNodeBits - 1)) }
