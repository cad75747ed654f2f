package verify

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"ackbox/client"
)

// Close codes after which the contract wants no reconnect.
var final = map[int]bool{1003: true, 4002: true, 4003: true}

const closeToken = 4001 // reconnect with a new token

// run keeps a socket open until ctx is done, or until the server says that it shall not be.
func (a *Actor) run(ctx context.Context) {
	defer close(a.over)
	failures := 0
	for ctx.Err() == nil {
		pause, err := a.connect(ctx)
		var end *endedError
		switch {
		case errors.As(err, &end) && final[end.code]:
			a.ended = err
			return
		case errors.Is(err, errDropped):
			failures = 0
		case errors.As(err, &end) && pause == 0 && end.lived > time.Second:
			failures = 1
		default:
			failures++
		}
		if !errors.Is(err, errDropped) {
			a.move()
		}
		a.idle(ctx, max(pause, jitter(failures)))
	}
	a.ended = errors.New("it was stopped")
}

// idle waits between two connections; REST goes on.
func (a *Actor) idle(ctx context.Context, pause time.Duration) {
	timer := time.NewTimer(pause)
	defer timer.Stop()
	for {
		select {
		case <-timer.C:
			return
		case <-ctx.Done():
			return
		case c := <-a.commands:
			if err := c.do(ctx); errors.Is(err, errDropped) { // there is nothing to drop
				c.done <- nil
			} else {
				c.done <- err
			}
		}
	}
}

// endedError is why a socket ended.
type endedError struct {
	code  int
	lived time.Duration
	cause error
}

func (e *endedError) Error() string {
	return fmt.Sprintf("the socket ended with %d: %v", e.code, e.cause)
}
func (e *endedError) Unwrap() error { return e.cause }

// connect opens a socket and serves it until it ends; pause is how long the server asks to wait.
func (a *Actor) connect(ctx context.Context) (pause time.Duration, err error) {
	after, id := a.store.position()
	node := a.at()
	dialCtx, cancel := context.WithTimeout(ctx, a.o.Timeout)
	defer cancel()
	session, err := a.account.at(dialCtx, node)
	if err != nil {
		return retryAfter(err), err
	}
	e := a.cluster.recorder.Invoke(Event{Op: OpConnect, User: session.User.UserID, Device: a.o.Device, Node: session.Client().Base(), After: after})
	socket, hello, err := a.dial(dialCtx, session, after, id)
	if e.Phase = endOf(err); err != nil {
		e.Detail = err.Error()
		a.cluster.recorder.Add(e)
		if signedOut(err) {
			a.account.spent(session.AccessToken)
		}
		return retryAfter(err), err
	}
	e.Connection, e.Acked, e.Head, e.Floor, e.Reset = strconv.FormatInt(e.Call, 10), hello.Acked, hello.Head, hello.Floor, hello.Reset
	a.cluster.recorder.Add(e)
	a.first.Do(func() { close(a.ready) })

	began := time.Now()
	l := &line{actor: a, socket: socket, connection: e.Connection, node: e.Node, quiet: 2*time.Duration(hello.HeartbeatMS)*time.Millisecond + time.Second}
	err = l.serve(ctx, hello)
	code := client.EndedWith(err)
	if dropErr := socket.Drop(); dropErr != nil && code == 0 {
		err = errors.Join(err, dropErr)
	}
	a.record(Event{Op: OpClose, Connection: e.Connection, Node: e.Node, Code: code, Detail: err.Error()})
	a.doubted = a.doubted || code == closePositions
	if code == closeToken {
		a.account.spent(session.AccessToken)
	}
	return l.pause, &endedError{code, time.Since(began), err}
}

// dial opens a socket and waits for its hello.
func (a *Actor) dial(ctx context.Context, session *client.Session, after int64, id client.MessageID) (*client.Socket, client.Frame, error) {
	socket, err := session.Connect(ctx, client.Dial{Device: a.o.Device, LastSeq: &after, LastID: id})
	if err != nil {
		return nil, client.Frame{}, err
	}
	hello, err := socket.Next(ctx)
	if err == nil && hello.Type != "hello" {
		err = fmt.Errorf("the first frame is %q", hello.Type)
	}
	if err != nil {
		return nil, hello, errors.Join(err, socket.Drop())
	}
	return socket, hello, nil
}

// line is an open socket being served.
type line struct {
	actor      *Actor
	socket     *client.Socket
	connection string
	node       string
	quiet      time.Duration // without any frame for so long, the link is dead
	pause      time.Duration // what a bye asked for
	behind     bool          // a pull has failed and is due again
	failures   int
	retry      time.Time
}

// serve takes frames in, acks, and does commands until the socket ends.
func (l *line) serve(ctx context.Context, hello client.Frame) error {
	a := l.actor
	if hello.Reset {
		if err := a.stepBack(ctx); err != nil {
			return err
		}
	}
	l.behind = hello.Reset || a.doubted // the large groups are looked at too
	a.doubted = false
	tick := time.NewTicker(ackAfter / 4)
	defer tick.Stop()
	heard := time.Now()
	for {
		select {
		case f, open := <-l.socket.Frames():
			if !open {
				_, err := l.socket.Next(ctx)
				return err
			}
			heard = time.Now()
			if err := l.frame(ctx, f); err != nil {
				l.later(err)
			}
		case c := <-a.commands:
			err := c.do(ctx)
			if errors.Is(err, errDropped) {
				c.done <- nil
				return err
			}
			c.done <- err
		case <-tick.C:
			if time.Since(heard) > l.quiet {
				return errors.New("the link is dead: no ping")
			}
		case <-ctx.Done():
			return ctx.Err()
		}
		if err := l.due(ctx); err != nil {
			l.later(err)
		}
	}
}

// later has a failed call repeated after a while; until then the socket goes on.
func (l *line) later(err error) {
	l.behind = true
	l.failures++
	l.retry = time.Now().Add(max(jitter(l.failures), retryAfter(err)))
}

// due does what is due: a repeated pull, or an ack.
func (l *line) due(ctx context.Context) error {
	if time.Now().Before(l.retry) {
		return nil
	}
	a := l.actor
	if l.behind {
		if err := a.drain(ctx); err != nil {
			return err
		}
		l.behind, l.failures = false, 0
	}
	if s := a.store; s.dirty >= ackEvery || s.dirty > 0 && time.Since(s.since) >= ackAfter {
		return a.ack(ctx)
	}
	return nil
}

// frame takes a frame in.
func (l *line) frame(ctx context.Context, f client.Frame) error {
	a := l.actor
	held := int64(len(a.store.ids))
	switch f.Type {
	case "message":
		a.record(Event{Op: OpPush, Node: l.node, Connection: l.connection, Attempt: f.Attempt, Sights: []Sight{See(f.Seq, f.Message)}})
		return a.pushed(ctx, f)
	case "behind":
		if f.ConversationID != "" {
			return a.pullLog(ctx, f.ConversationID)
		}
		return a.pull(ctx)
	case "ping":
		if f.Head > held {
			return a.pull(ctx)
		}
	case "receipt":
		a.record(Event{Op: OpReceipt, Node: l.node, Connection: l.connection, Conversation: f.ConversationID, Users: []client.UserID{f.UserID}, Kind: f.Kind, UpTo: f.UpTo})
	case "bye":
		l.pause = time.Duration(f.RetryAfterMS) * time.Millisecond
	}
	return nil
}
