package chaos

import (
	"strconv"
	"time"
)

// Crowd is who uses the deployment during a fault, and how.
type Crowd struct {
	People    int // in direct pairs, and in the groups
	Groups    int // of mailbox kind
	GroupSize int
	LogSize   int // members of the one group whose delivery is by log; 0: there is none
	// Moving is how often somebody's connection is cut; they come back at another node, so that no node stays empty (100 ms).
	Moving time.Duration
	Churn  float64 // share of what people do that changes who may see what: joins, leaves, blocks, recalls
}

// usual is the crowd of a fault that says nothing of it.
var usual = Crowd{People: 24, Groups: 4, GroupSize: 6, LogSize: 16, Moving: 100 * time.Millisecond, Churn: 0.02}

func (c Crowd) orUsual() Crowd {
	if c == (Crowd{}) {
		return usual
	}
	if c.Moving == 0 {
		c.Moving = usual.Moving
	}
	return c
}

// settings are those of a node that make its groups of the kinds that the crowd wants.
func (c Crowd) settings() []string {
	limit := c.GroupSize + 4 // some come and go
	if c.LogSize > 0 {
		limit = min(limit, c.LogSize-1)
	}
	return []string{"ACKBOX_MAILBOX_GROUP_LIMIT=" + strconv.Itoa(limit)}
}
