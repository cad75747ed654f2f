package chaos

import (
	"slices"
	"time"

	"ackbox/verify"
)

// blow is one injection: when it was done, on the history's clock, and the node's URL, empty for a store.
type blow struct {
	at   time.Duration
	node string
}

// recovery is how long after each blow things worked again. A blow after which they didn't until the next one has no entry.
type recovery struct{ sends, deliveries []time.Duration }

// recovered reads from a history how long each blow was felt by the clients of the node that was hit.
func recovered(events []verify.Event, blows []blow) recovery {
	sent := map[string]time.Duration{} // key → when it was tried first
	for _, e := range events {
		if _, again := sent[e.Key]; e.Op == verify.OpSend && e.Phase == verify.Invoke && !again {
			sent[e.Key] = e.At
		}
	}
	var r recovery
	for i, b := range blows {
		from, _ := slices.BinarySearchFunc(events, b.at, func(e verify.Event, at time.Duration) int { return int(e.At - at) })
		begun := map[int64]bool{}
		var send, delivery time.Duration
		for _, e := range events[from:] {
			if send > 0 && delivery > 0 || i+1 < len(blows) && e.At >= blows[i+1].at {
				break
			}
			if b.node != "" && e.Node != b.node {
				continue
			}
			switch {
			case e.Op == verify.OpSend && e.Phase == verify.Invoke:
				begun[e.Call] = true
			case e.Op == verify.OpSend && e.Phase == verify.OK && begun[e.Call] && send == 0:
				send = e.At - b.at
			case e.Op == verify.OpPush && len(e.Sights) > 0 && delivery == 0:
				if at, known := sent[e.Sights[0].Key]; known && at >= b.at {
					delivery = e.At - b.at
				}
			}
		}
		if send > 0 {
			r.sends = append(r.sends, send)
		}
		if delivery > 0 {
			r.deliveries = append(r.deliveries, delivery)
		}
	}
	return r
}
