package e2e

import "testing"

// abuses is what somebody does who means harm, each with users of its own, all against one server whose log tells
// everything.
var abuses = []behaviour{
	{"foreign objects", foreignObjects},
	{"foreign positions", foreignPositions},
}

func TestAbuse(t *testing.T) {
	t.Parallel()
	for _, b := range []backend{embedded, mariaDB} {
		t.Run(b.name, func(t *testing.T) {
			t.Parallel()
			s := b.start(t, "ACKBOX_LOG_LEVEL=debug")
			for _, abuse := range abuses {
				t.Run(abuse.name, func(t *testing.T) {
					t.Parallel()
					abuse.run(t, s)
				})
			}
		})
	}
}
