package verify

import "time"

// acks: what a device is told as its position never falls, but where the device has stepped back or was forgotten, and is
// never beyond what the device has acked.
func (c *check) acks() {
	anew := map[device][]time.Duration{}
	for i := range c.run.Events {
		if e := &c.run.Events[i]; e.Op == OpReset && e.Conversation == "" || e.Op == OpForget {
			anew[device{e.User, e.Device}] = append(anew[device{e.User, e.Device}], e.At)
		}
	}
	positions := newRising[device](c.index)
	claimed := map[device]int64{} // the highest that the device has acked
	free := map[device]bool{}     // single acks may move it anywhere
	for i := range c.run.Events {
		e := &c.run.Events[i]
		id := device{e.User, e.Device}
		positions.at(e.At)
		switch {
		case e.Op == OpLoss:
			claimed = c.claimedBefore(i)
		case e.Op == OpForget:
			delete(claimed, id)
		case e.Phase == Invoke && (e.Op == OpAck || e.Op == OpConnect || e.Op == OpPull && e.Acks):
			claim(claimed, e)
			free[id] = free[id] || len(e.Messages) > 0
			if e.Op != OpPull {
				positions.ask(e, id)
			}
		case e.Phase == OK && (e.Op == OpAck || e.Op == OpConnect):
			if upTo, known := claimed[id]; !known {
				claimed[id] = e.Acked // where the server lets a new device begin
			} else if e.Acked > upTo && !free[id] {
				if !c.beginning(e, id) {
					c.broken(RuleAcks, []*Event{c.invokes[e.Call], e}, "%s of %s has acked up to %d, and its position was told as %d", id.name, id.user, upTo, e.Acked)
				}
				claimed[id] = e.Acked
			}
			before, fell := positions.answer(e, id, e.Acked)
			if fell && !between(anew[id], before.event.At, e.At) && !c.lossBetween(before.event.At, e.At) {
				c.broken(RuleAcks, []*Event{before.event, e}, "the position of %s of %s fell from %d to %d", id.name, id.user, before.figure, e.Acked)
			}
		}
	}
}

// claim notes what a device acks.
func claim(claimed map[device]int64, e *Event) {
	id := device{e.User, e.Device}
	before, known := claimed[id]
	if upTo := max(e.UpTo, e.After); known || e.Op != OpConnect || e.After >= 0 {
		claimed[id] = max(before, upTo)
	}
}

// claimedBefore is what the devices had acked of the store that came back at the n-th event, a loss.
func (c *check) claimedBefore(n int) map[device]int64 {
	claimed := map[device]int64{}
	c.surviving(n, func(e *Event) {
		switch {
		case e.Op == OpForget:
			delete(claimed, device{e.User, e.Device})
		case e.Phase == Invoke && (e.Op == OpAck || e.Op == OpConnect || e.Op == OpPull && e.Acks):
			claim(claimed, e)
		case e.Phase == OK && (e.Op == OpAck || e.Op == OpConnect):
			id := device{e.User, e.Device}
			if _, known := claimed[id]; !known {
				claimed[id] = e.Acked
			}
		}
	})
	return claimed
}

// beginning says whether it is the device's first answer: a new device may be let begin higher than it says.
func (c *check) beginning(e *Event, id device) bool {
	for i := range c.run.Events {
		f := &c.run.Events[i]
		if f.User == id.user && f.Device == id.name && f.Phase == OK && (f.Op == OpAck || f.Op == OpConnect) {
			return f == e
		}
	}
	return false
}

// between says whether one of the times is between two others.
func between(times []time.Duration, from, to time.Duration) bool {
	for _, at := range times {
		if at >= from && at <= to {
			return true
		}
	}
	return false
}
