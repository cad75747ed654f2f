package verify

import (
	"cmp"
	"slices"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"ackbox/client"
)

const (
	delayUnit  = int64(time.Microsecond)
	delayMax   = int64(time.Hour) / delayUnit
	delayExact = 3 // digits
)

// path is a pair of nodes.
type path struct{ from, to string }

// delay: a device that is online is shown a message within the limit of its answer, or, when a fault was on, of the
// fault's end. A device that was offline has the limit from its next hello.
func (c *check) delay() {
	byFault, byPath := map[string]*hdrhistogram.Histogram{}, map[path]*hdrhistogram.Histogram{}
	accepted := map[client.MessageID]*try{}
	for _, k := range c.keys {
		for _, t := range k.answers() {
			if accepted[t.answer().Message] == nil {
				accepted[t.answer().Message] = t
			}
		}
	}
	sockets := c.sockets()
	had := map[shown]bool{}
	for _, s := range c.sightings {
		e := s.event
		t := accepted[s.sight.Message]
		live := e.Op == OpPush || e.Op == OpPull || e.Op == OpHistory && c.run.Tables.Conversations[e.Conversation].Delivery == "log"
		if t == nil || !live {
			continue
		}
		if at := (shown{e.User, e.Device, s.sight.Message}); had[at] {
			continue
		} else {
			had[at] = true
		}
		socket := before(sockets[device{e.User, e.Device}], e.At)
		if socket == nil {
			continue
		}
		from := t.end.At
		online := socket.opened.At <= from
		from = max(from, socket.opened.At)
		took := max(e.At-from, 0)
		if online {
			fault := c.faultAt(from, e.At)
			record(byFault, fault, took)
			if fault == "" && e.Op == OpPush {
				record(byPath, path{t.end.Node, socket.opened.Node}, max(e.At-t.invoke.At, 0))
			}
		}
		if late := e.At - c.due(from); late > 0 {
			c.broken(RuleDelay, []*Event{t.end, socket.opened, e}, "%v came to %s of %s %v after it was accepted, %v too late", *s.sight, e.Device, e.User, took.Round(time.Millisecond), late.Round(time.Millisecond))
		}
	}
	for name, h := range byFault {
		d := percentiles(h)
		d.Fault = name
		c.result.Stats.Delays = append(c.result.Stats.Delays, d)
	}
	for p, h := range byPath {
		d := percentiles(h)
		d.From, d.To = p.from, p.to
		c.result.Stats.Paths = append(c.result.Stats.Paths, d)
	}
	slices.SortFunc(c.result.Stats.Delays, func(a, b Delay) int { return cmp.Compare(a.Fault, b.Fault) })
	slices.SortFunc(c.result.Stats.Paths, func(a, b Delay) int { return cmp.Or(cmp.Compare(a.From, b.From), cmp.Compare(a.To, b.To)) })
}

// socket is one connection of a device.
type socket struct {
	opened *Event
	closed time.Duration
}

// sockets are the connections of each device, in order.
func (c *check) sockets() map[device][]socket {
	all := map[device][]socket{}
	for i := range c.run.Events {
		if e := &c.run.Events[i]; e.Op == OpConnect && e.Phase == OK {
			closed, ok := c.ended[e.Connection]
			if !ok {
				closed = c.last
			}
			all[device{e.User, e.Device}] = append(all[device{e.User, e.Device}], socket{e, closed})
		}
	}
	return all
}

// before is the last connection that was opened by a time, or nil.
func before(list []socket, at time.Duration) *socket {
	n, found := slices.BinarySearchFunc(list, at, func(s socket, at time.Duration) int { return cmp.Compare(s.opened.At, at) })
	if found {
		n++
	}
	if n == 0 {
		return nil
	}
	return &list[n-1]
}

// due is when what was ready at a time has to be there: faults that are on then, or begin before it, defer it.
func (c *check) due(ready time.Duration) time.Duration {
	due := ready + c.limits.Delay
	for _, f := range c.faults { // in order of their beginning
		if f.begin <= due && ready <= f.end+f.limit {
			due = max(due, f.end+f.limit)
		}
	}
	return due
}

// faultAt names the first fault that was on between two times, or is empty.
func (c *check) faultAt(from, to time.Duration) string {
	for _, f := range c.faults {
		if f.begin <= to && from <= f.end {
			return f.name
		}
	}
	return ""
}

func record[K comparable](in map[K]*hdrhistogram.Histogram, at K, took time.Duration) {
	h := in[at]
	if h == nil {
		h = hdrhistogram.New(1, delayMax, delayExact)
		in[at] = h
	}
	if err := h.RecordValue(min(max(int64(took)/delayUnit, 1), delayMax)); err != nil {
		panic(err) // the value is within the histogram's bounds
	}
}

func percentiles(h *hdrhistogram.Histogram) Delay {
	at := func(q float64) time.Duration { return time.Duration(h.ValueAtQuantile(q) * delayUnit) }
	return Delay{Count: h.TotalCount(), P50: at(50), P90: at(90), P99: at(99), Max: time.Duration(h.Max() * delayUnit)}
}
