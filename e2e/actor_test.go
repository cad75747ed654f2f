package e2e

import (
	"context"
	"crypto/rand"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"golang.org/x/sync/errgroup"

	"ackbox/client"
)

const (
	// patience bounds the wait for something that must come; the machine may be busy with other tests.
	patience = time.Minute

	// password is every test user's.
	password = "correct horse battery"
)

// actor is a signed-in user of one test, whose methods fail the test. They must be called from the test's goroutine;
// others use the session itself.
type actor struct {
	*client.Session
	t *testing.T
}

// freshName is a user name that nobody has, with a distinct beginning.
func freshName() string { return "u" + strings.ToLower(rand.Text()[:16]) }

// user registers somebody new.
func (s *system) user(t *testing.T) *actor {
	t.Helper()
	session, err := s.client.Register(within(t, patience), client.Credentials{Username: freshName(), Password: password})
	if err != nil {
		t.Fatalf("register: %v", err)
	}
	return &actor{Session: session, t: t}
}

// users registers n people.
func (s *system) users(t *testing.T, n int) []*actor {
	t.Helper()
	all := make([]*actor, n)
	for i := range all {
		all[i] = s.user(t)
	}
	return all
}

// within is a context of the test that ends after d.
func within(t *testing.T, d time.Duration) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}

// at is the same actor at another node.
func (a *actor) at(s *system) *actor { return &actor{Session: a.At(s.client), t: a.t} }

// id is the actor's user id.
func (a *actor) id() client.UserID { return a.User.UserID }

// send sends a text under a fresh key; it must be accepted as new.
func (a *actor) send(to *actor, text string) client.Sent {
	a.t.Helper()
	return a.sendDraft(client.Text(to.id(), uuid.NewString(), text))
}

// sendDraft sends a draft that must be accepted as new.
func (a *actor) sendDraft(d client.Draft) client.Sent {
	a.t.Helper()
	sent, err := a.Send(within(a.t, patience), d)
	if err != nil {
		a.t.Fatalf("send: %v", err)
	}
	if sent.Status != http.StatusCreated || sent.Duplicate {
		a.t.Fatalf("send: got %d duplicate=%t, want 201 of a new message", sent.Status, sent.Duplicate)
	}
	return sent
}

// repeat sends a draft whose key was accepted before; it must be answered with that first message.
func (a *actor) repeat(d client.Draft, first client.Sent) {
	a.t.Helper()
	again, err := a.Send(within(a.t, patience), d)
	if err != nil {
		a.t.Fatalf("repeat: %v", err)
	}
	if err := sameAnswer(again, first); err != nil {
		a.t.Fatal(err)
	}
}

// sameAnswer says whether again is the 200 that a repeat of first must get.
func sameAnswer(again, first client.Sent) error {
	switch {
	case again.Status != http.StatusOK || !again.Duplicate:
		return fmt.Errorf("repeat: got %d duplicate=%t, want 200 duplicate=true", again.Status, again.Duplicate)
	case again.MailboxSeq != first.MailboxSeq:
		return fmt.Errorf("repeat: mailbox_seq %d, want the first answer's %d", again.MailboxSeq, first.MailboxSeq)
	}
	if d := difference(first.Message, again.Message); d != "" {
		return fmt.Errorf("repeat: another message than the first answer's (-first +again):\n%s", d)
	}
	return nil
}

// fill sends n texts to somebody, eight at a time and so in no promised order.
func (a *actor) fill(to *actor, n int) {
	a.t.Helper()
	group, ctx := errgroup.WithContext(within(a.t, 2*patience))
	group.SetLimit(8)
	for i := range n {
		group.Go(func() error {
			_, err := a.Send(ctx, client.Text(to.id(), uuid.NewString(), fmt.Sprintf("fill %d", i)))
			return err
		})
	}
	if err := group.Wait(); err != nil {
		a.t.Fatalf("fill: %v", err)
	}
}

// page reads the mailbox.
func (a *actor) page(after int64, limit int) client.Page {
	a.t.Helper()
	page, err := a.Mailbox(within(a.t, patience), after, limit)
	if err != nil {
		a.t.Fatalf("mailbox: %v", err)
	}
	return page
}

// wholeMailbox reads the mailbox page by page and checks that its seqs are contiguous from 1.
func (a *actor) wholeMailbox() []client.Entry {
	a.t.Helper()
	var all []client.Entry
	for {
		page := a.page(int64(len(all)), 200)
		for _, entry := range page.Entries {
			if want := int64(len(all)) + 1; entry.Seq != want {
				a.t.Fatalf("mailbox: seq %d where %d should be", entry.Seq, want)
			}
			all = append(all, entry)
		}
		if !page.HasMore {
			if page.Head != int64(len(all)) {
				a.t.Fatalf("mailbox: head %d, but %d entries", page.Head, len(all))
			}
			return all
		}
		if len(page.Entries) == 0 {
			a.t.Fatal("mailbox: an empty page that says has_more")
		}
	}
}

// sync pulls and acks.
func (a *actor) sync(pull client.Pull) client.Page {
	a.t.Helper()
	page, err := a.Sync(within(a.t, patience), pull)
	if err != nil {
		a.t.Fatalf("sync: %v", err)
	}
	return page
}

// ack acks up to seq; the device's position must be wanted then.
func (a *actor) ack(device string, seq, wanted int64) {
	a.t.Helper()
	acked, err := a.AckUpTo(within(a.t, patience), device, seq)
	if err != nil {
		a.t.Fatalf("ack up to %d: %v", seq, err)
	}
	if acked != wanted {
		a.t.Fatalf("ack up to %d: acked %d, want %d", seq, acked, wanted)
	}
}

// acked checks the device's stored position.
func (a *actor) acked(device string, wanted int64) {
	a.t.Helper()
	summary, err := a.Summary(within(a.t, patience), device)
	if err != nil {
		a.t.Fatalf("summary: %v", err)
	}
	if summary.Acked != wanted {
		a.t.Fatalf("device %s: acked %d, want %d", device, summary.Acked, wanted)
	}
}

// refused checks that err is the server's refusal with one of the statuses (and, unless empty, the code).
func refused(t *testing.T, err error, code string, statuses ...int) *client.Problem {
	t.Helper()
	problem, ok := client.AsProblem(err)
	if !ok {
		t.Fatalf("got %v, want a refusal with %v %s", err, statuses, code)
	}
	if !contains(statuses, problem.Status) {
		t.Fatalf("got %v, want status %v", problem, statuses)
	}
	if code != "" && problem.Code != code {
		t.Fatalf("got %v, want code %s", problem, code)
	}
	return problem
}

func contains(statuses []int, status int) bool {
	for _, s := range statuses {
		if s == status {
			return true
		}
	}
	return false
}
