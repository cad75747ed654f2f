package service

import (
	"testing"
	"time"
)

// open is a socket that writes everything at once.
type open struct{}

func (open) Push([][]byte) (waits int, ok bool) { return 0, true }
func (open) Ping()                              {}
func (open) Close([]byte, int, string)          {}

// TestResumeCorked: a client that was behind and acks while a batch collects frames for it is live
// again: what is collected does not wait for the socket, so nothing would ask again.
func TestResumeCorked(t *testing.T) {
	t.Parallel()
	i := newInbox(t, standard)
	o, err := i.mailboxes.Open(within(t), i.device("phone"), 0, seq(0), 0)
	must(t, err)
	o.ExpiresAt = i.clock.now().Add(time.Hour)
	s := i.delivery.Join(open{}, o)
	t.Cleanup(func() { i.delivery.Leave(s) })
	state := func() sessionState {
		s.mu.Lock()
		defer s.mu.Unlock()
		return s.state
	}
	eventually(t, "the session to be live", func() bool { return state() == stateLive })
	i.say(maxUnacked + 1)
	equal(t, "state after too many", state(), stateBehind)
	s.mu.Lock()
	s.cork()
	s.mu.Unlock()
	for range maxUnacked {
		i.delivery.Frame(i.reads, []byte("{}"))
	}
	i.delivery.Settle(s.Key, maxUnacked+1, nil)
	s.mu.Lock()
	s.uncork()
	s.mu.Unlock()
	eventually(t, "the session to be live again", func() bool { return state() == stateLive })
}
