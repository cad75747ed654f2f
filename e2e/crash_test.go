package e2e

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"ackbox/client"
)

// attempt is one send of a load: accepted tells whether its 201 arrived, sent what it said.
type attempt struct {
	sender   *actor
	draft    client.Draft
	accepted bool
	sent     client.Sent
}

// load is senders that send to one recipient until they are stopped, or until their node fails them.
type load struct {
	accepted atomic.Int64
	cancel   context.CancelFunc
	done     sync.WaitGroup
	mu       sync.Mutex
	attempts []attempt
	refusals []error // answers that are neither 201 nor the loss of the node
}

// underLoad starts two workers a sender. Each worker sends one message after the other and ends at its first failure;
// with persist it goes on after one.
func underLoad(t *testing.T, to *actor, senders []*actor, persist bool) *load {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	l := &load{cancel: cancel}
	t.Cleanup(l.stop)
	for i := range 2 * len(senders) {
		sender := senders[i%len(senders)]
		l.done.Go(func() {
			for n := 0; ctx.Err() == nil; n++ {
				a := attempt{sender: sender, draft: client.Text(to.id(), uuid.NewString(), fmt.Sprintf("load %d/%d", i, n))}
				var err error
				a.sent, err = sender.Send(ctx, a.draft)
				a.accepted = err == nil
				if l.note(a, err, ctx.Err() != nil) {
					continue
				}
				if !persist {
					return
				}
				pause(ctx, 20*time.Millisecond)
			}
		})
	}
	return l
}

// pause waits for d, or until ctx is done.
func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// note keeps the attempt and says whether it was accepted.
func (l *load) note(a attempt, err error, stopped bool) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.attempts = append(l.attempts, a)
	if a.accepted {
		l.accepted.Add(1)
		if a.sent.Status != http.StatusCreated {
			l.refusals = append(l.refusals, fmt.Errorf("a fresh key was answered with %d", a.sent.Status))
		}
		return true
	}
	if problem, ok := client.AsProblem(err); ok {
		l.refusals = append(l.refusals, problem)
	} else if !stopped {
		l.refusals = append(l.refusals, nil) // the node went away; see lostConnections
	}
	return false
}

// stop ends the senders and waits for them.
func (l *load) stop() {
	l.cancel()
	l.done.Wait()
}

// reach waits until n more sends than now were accepted.
func (l *load) reach(t *testing.T, n int64) {
	t.Helper()
	target := l.accepted.Load() + n
	deadline := time.NewTimer(2 * patience)
	defer deadline.Stop()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for l.accepted.Load() < target {
		select {
		case <-tick.C:
		case <-deadline.C:
			l.stop()
			t.Fatalf("only %d of %d sends accepted; refusals: %v", l.accepted.Load(), target, l.refused())
		}
	}
}

// refused are the answers (not the lost connections) that were no 201.
func (l *load) refused() []error {
	l.mu.Lock()
	defer l.mu.Unlock()
	var refusals []error
	for _, err := range l.refusals {
		if err != nil {
			refusals = append(refusals, err)
		}
	}
	return refusals
}

// lostConnections is how many sends ended without an answer before the load was stopped.
func (l *load) lostConnections() int {
	return len(l.refusals) - len(l.refused())
}

// settle retries every key in doubt until it has an answer, repeats every accepted key, and checks the recipient's
// mailbox: each key there once, what was accepted under the id that was answered, seqs and conversation_seqs contiguous.
func (l *load) settle(t *testing.T, to *actor) {
	t.Helper()
	known := map[string]client.MessageID{}
	for _, a := range l.attempts {
		again, err := a.sender.Send(within(t, patience), a.draft)
		if err != nil {
			t.Fatalf("retry: %v", err)
		}
		if a.accepted {
			if err := sameAnswer(again, a.sent); err != nil {
				t.Fatalf("a message that was accepted: %v", err)
			}
		} else {
			a.sender.repeat(a.draft, again)
		}
		known[a.draft.ClientMsgID] = again.Message.MessageID
	}
	conversationHeads := map[client.ConversationID]int64{}
	for _, entry := range to.wholeMailbox() {
		m := entry.Message
		if conversationHeads[m.ConversationID]++; m.ConversationSeq != conversationHeads[m.ConversationID] {
			t.Fatalf("entry %d is %d of its conversation, want %d", entry.Seq, m.ConversationSeq, conversationHeads[m.ConversationID])
		}
		id, ok := known[m.ClientMsgID]
		if !ok {
			t.Fatalf("entry %d: key %s is there twice, or nobody sent it", entry.Seq, m.ClientMsgID)
		}
		if id != m.MessageID {
			t.Fatalf("entry %d: key %s is message %s, the sender was told %s", entry.Seq, m.ClientMsgID, m.MessageID, id)
		}
		delete(known, m.ClientMsgID)
	}
	if len(known) != 0 {
		t.Fatalf("%d of %d messages are not in the mailbox", len(known), len(l.attempts))
	}
}

// killUnderLoad: kill -9 in the middle of sending loses no accepted message and doubles none, round after round.
func killUnderLoad(t *testing.T, b backend) {
	s := b.start(t)
	for _, accepted := range []int64{150, 500} {
		to := s.user(t)
		l := underLoad(t, to, s.users(t, 4), false)
		l.reach(t, accepted)
		s.server.Kill()
		l.done.Wait()
		if refusals := l.refused(); len(refusals) != 0 {
			t.Fatalf("before the kill: %v", refusals)
		}
		t.Logf("killed after %d accepted sends with %d in doubt", l.accepted.Load(), l.lostConnections())
		s.server.Restart()
		l.settle(t, to)
	}
}

// orderlyStop: SIGTERM answers what is in flight, tells the sockets, closes them as stopping or restarting, ends within
// 15 s with exit code 0, and nothing accepted is lost.
func orderlyStop(t *testing.T, b backend) {
	s := b.start(t)
	bob := s.user(t)
	idle := s.user(t).openLive("idle")
	l := underLoad(t, bob, s.users(t, 2), false)
	laptop := bob.openLive("laptop")
	l.reach(t, 50)

	began := time.Now()
	if err := s.server.Terminate(); err != nil {
		t.Fatalf("exit: %v", err)
	}
	if took := time.Since(began); took > stopTime {
		t.Errorf("the stop took %s, want at most %s", took, stopTime)
	}
	l.done.Wait()
	for _, refusal := range l.refused() {
		if problem, ok := client.AsProblem(refusal); !ok || problem.Status != http.StatusServiceUnavailable {
			t.Errorf("while stopping: %v, want only 503", refusal)
		}
	}
	for _, line := range []*line{idle, laptop} {
		bye := line.until("bye", func(f client.Frame) bool { return f.Type == "bye" })
		if bye.Code != 1001 && bye.Code != 1012 {
			t.Errorf("bye says %d, want 1001 or 1012", bye.Code)
		}
		line.endsWith(bye.Code)
	}
	s.server.Restart()
	l.settle(t, bob)
}
