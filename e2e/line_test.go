package e2e

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"ackbox/client"
)

// line is an open push connection of a test, greeted already. It ends with the test.
type line struct {
	*client.Socket
	t     *testing.T
	hello client.Frame
	seen  []string // the frames that came, for a failure's text
}

// open connects the actor and takes the hello.
func (a *actor) open(dial client.Dial) *line {
	a.t.Helper()
	socket, err := a.Connect(within(a.t, patience), dial)
	if err != nil {
		a.t.Fatalf("connect: %v", err)
	}
	return greeted(a.t, socket)
}

// openLive connects a device and waits until it is synced.
func (a *actor) openLive(device string) *line {
	a.t.Helper()
	l := a.open(client.Dial{Device: device})
	l.until("synced", func(f client.Frame) bool { return f.Type == "synced" })
	return l
}

func greeted(t *testing.T, socket *client.Socket) *line {
	t.Helper()
	l := &line{Socket: socket, t: t}
	t.Cleanup(func() {
		if err := socket.Drop(); err != nil {
			t.Errorf("drop the socket: %v", err)
		}
	})
	first, err := l.next(within(t, patience))
	if err != nil {
		t.Fatalf("waiting for hello: %v", err)
	}
	if first.Type != "hello" {
		t.Fatalf("first frame is %s, want hello", first.Raw)
	}
	l.hello = first
	return l
}

// next is the next frame of any type, noted.
func (l *line) next(ctx context.Context) (client.Frame, error) {
	frame, err := l.Next(ctx)
	if err == nil {
		note := frame.Type
		if frame.Type == "message" {
			note = fmt.Sprintf("message %d/%d", frame.Seq, frame.Attempt)
		}
		if l.seen = append(l.seen, note); len(l.seen) > 400 {
			l.seen = l.seen[200:]
		}
	}
	return frame, err
}

// until waits for a frame that matches and drops those before it.
func (l *line) until(what string, match func(client.Frame) bool) client.Frame {
	l.t.Helper()
	ctx, cancel := context.WithTimeout(l.t.Context(), patience)
	defer cancel()
	for {
		frame, err := l.next(ctx)
		if err != nil {
			l.t.Fatalf("waiting for %s: %v; frames so far: %q", what, err, l.seen)
		}
		if match(frame) {
			return frame
		}
	}
}

// push is the next first-attempt message, behind or synced frame: the flow of the mailbox without repeats and without
// what goes on beside it.
func (l *line) push(what string) client.Frame {
	l.t.Helper()
	return l.until(what, func(f client.Frame) bool {
		return f.Type == "message" && f.Attempt == 1 || f.Type == "behind" || f.Type == "synced"
	})
}

// pushes checks that the next pushes are the mailbox entries from first to last, in order.
func (l *line) pushes(first, last int64) []client.Frame {
	l.t.Helper()
	var frames []client.Frame
	for seq := first; seq <= last; seq++ {
		frame := l.push(fmt.Sprintf("message %d", seq))
		if frame.Type != "message" || frame.Seq != seq {
			l.t.Fatalf("got %.200s, want message %d; frames so far: %q", frame.Raw, seq, l.seen)
		}
		frames = append(frames, frame)
	}
	return frames
}

// synced checks that the next push is synced up to seq.
func (l *line) synced(seq int64) {
	l.t.Helper()
	if frame := l.push("synced"); frame.Type != "synced" || frame.UpTo != seq {
		l.t.Fatalf("got %.200s, want synced up_to %d; frames so far: %q", frame.Raw, seq, l.seen)
	}
}

// receipt waits for the receipt that a user has received up to a conversation_seq or beyond; none may claim more than most.
func (l *line) receipt(of *actor, conversation client.ConversationID, upTo, most int64) client.Frame {
	l.t.Helper()
	return l.until(fmt.Sprintf("receipt up to %d", upTo), func(f client.Frame) bool {
		if f.Type != "receipt" || f.Kind != "delivered" || f.UserID != of.id() || f.ConversationID != conversation {
			return false
		}
		if f.UpTo > most {
			l.t.Fatalf("receipt %s claims more than %d", f.Raw, most)
		}
		return f.UpTo >= upTo
	})
}

// none checks that for d no frame comes that matches, and that the connection stays.
func (l *line) none(d time.Duration, what string, match func(client.Frame) bool) {
	l.t.Helper()
	ctx, cancel := context.WithTimeout(l.t.Context(), d)
	defer cancel()
	for {
		frame, err := l.next(ctx)
		switch {
		case errors.Is(err, context.DeadlineExceeded) && l.t.Context().Err() == nil:
			return
		case err != nil:
			l.t.Fatalf("waiting that no %s comes: %v", what, err)
		case match(frame):
			l.t.Fatalf("got %.200s, want no %s", frame.Raw, what)
		}
	}
}

// ended waits for the server to close and returns the close code, 0 if there was none.
func (l *line) ended() int {
	l.t.Helper()
	ctx, cancel := context.WithTimeout(l.t.Context(), patience)
	defer cancel()
	for {
		_, err := l.next(ctx)
		switch {
		case err == nil:
		case errors.Is(err, context.DeadlineExceeded):
			l.t.Fatalf("the server did not close; frames so far: %q", l.seen)
		default:
			return client.EndedWith(err)
		}
	}
}

// endsWith checks the close code.
func (l *line) endsWith(code int) {
	l.t.Helper()
	if got := l.ended(); got != code {
		l.t.Fatalf("closed with %d, want %d; frames so far: %q", got, code, l.seen)
	}
}

// alive checks that the connection stands and the server answers on it.
func (l *line) alive() {
	l.t.Helper()
	if err := l.Ping(within(l.t, patience), "still there?"); err != nil {
		l.t.Fatal(err)
	}
}

// difference shows how two messages differ, "" if they don't.
func difference(want, got client.Message) string { return cmp.Diff(want, got) }
