package chaos

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"ackbox/verify"
)

// TestRecovered: only sends that began after the blow count, on the node that was hit, and only until the next blow.
func TestRecovered(t *testing.T) {
	const a, b = "http://a", "http://b"
	at := func(ms int) time.Duration { return time.Duration(ms) * time.Millisecond }
	send := func(ms int, call int64, phase verify.Phase, node, key string) verify.Event {
		return verify.Event{At: at(ms), Op: verify.OpSend, Phase: phase, Call: call, Node: node, Key: key}
	}
	push := func(ms int, node, key string) verify.Event {
		return verify.Event{At: at(ms), Op: verify.OpPush, Phase: verify.OK, Node: node, Sights: []verify.Sight{{Key: key}}}
	}
	events := []verify.Event{
		send(1, 1, verify.Invoke, a, "old"),
		// the first blow, at 10, hits a
		send(11, 1, verify.OK, a, "old"), // began before
		push(12, a, "old"),
		send(13, 2, verify.Invoke, b, "elsewhere"),
		send(14, 2, verify.OK, b, "elsewhere"),
		push(15, b, "elsewhere"),
		send(20, 3, verify.Invoke, a, "new"),
		send(30, 3, verify.OK, a, "new"),
		push(40, a, "elsewhere"), // sent after the blow, and pushed by the node that was hit
		push(45, a, "new"),
		// the second, at 50, hits a store; nothing is answered until the third, at 90
		send(60, 4, verify.Invoke, b, "unlucky"),
		send(95, 4, verify.OK, b, "unlucky"),
		send(96, 5, verify.Invoke, b, "late"),
		send(97, 5, verify.OK, b, "late"),
		push(98, b, "late"),
	}
	got := recovered(events, []blow{{at: at(10), node: a}, {at: at(50)}, {at: at(90)}})
	want := recovery{sends: []time.Duration{at(20), at(7)}, deliveries: []time.Duration{at(30), at(8)}}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(recovery{})); diff != "" {
		t.Errorf("recovery, -want +got:\n%s", diff)
	}
}
