package e2e

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	_ "github.com/go-sql-driver/mysql"
	"github.com/google/uuid"
	"golang.org/x/sync/errgroup"

	"ackbox/client"
	"ackbox/internal/testenv"
)

// stopTime bounds an orderly end.
const stopTime = 15 * time.Second

// TestDrain stops one of two nodes under load, with a crowd of sockets and a client that never ends its request: every
// socket is told when to come back, each at another time, is closed with 1012, and misses nothing on the other node.
// ACKBOX_TEST_DRAIN_SOCKETS makes the crowd larger (10,000 need as many open files).
func TestDrain(t *testing.T) {
	t.Parallel()
	size := 300
	if text := os.Getenv("ACKBOX_TEST_DRAIN_SOCKETS"); text != "" {
		var err error
		if size, err = strconv.Atoi(text); err != nil {
			t.Fatal(err)
		}
	}
	stores := storeEnv(testenv.MySQL(t), testenv.StartRedis(t).URL())
	a, b := mariaDB.startOn(t, stores, "ACKBOX_DRAIN_DELAY=1s", "ACKBOX_ACK_TIMEOUT=30s"), mariaDB.startOn(t, stores)
	bob := a.user(t)
	laptop := bob.openLive("laptop")
	here, there := underLoad(t, bob, a.users(t, 1), false), underLoad(t, bob, b.users(t, 2), false)
	crowd := gather(t, a, size)
	stuck(t, a)
	there.reach(t, 20)

	began := time.Now()
	stopped := make(chan error, 1)
	go func() { stopped <- a.server.Terminate() }()

	// At once, while requests are still answered for the delay, the node is not ready and takes no sockets.
	ctx := within(t, patience)
	for {
		answer, err := a.client.Do(ctx, client.Request{Method: http.MethodGet, Path: "/readyz"})
		if err != nil {
			t.Fatalf("/readyz was not seen to say 503: %v", err)
		}
		if answer.Status == http.StatusServiceUnavailable {
			if p, err := answer.Problem(); err != nil || p.Code != "draining" || p.RetryAfter == "" {
				t.Errorf("/readyz while stopping: %s %v", answer.Body, err)
			}
			break
		}
	}
	_, err := bob.Connect(ctx, client.Dial{Device: "phone"})
	refused(t, err, "draining", http.StatusServiceUnavailable)
	if _, err := bob.Mailbox(ctx, 0, 1); err != nil {
		t.Errorf("a request in the delay: %v", err)
	}

	if err := <-stopped; err != nil {
		t.Errorf("exit: %v", err)
	}
	if took := time.Since(began); took > stopTime {
		t.Errorf("the stop took %s, want at most %s", took, stopTime)
	} else {
		t.Logf("%d sockets: stopped in %s", size, took)
	}
	here.done.Wait()
	for _, refusal := range here.refused() {
		if problem, ok := client.AsProblem(refusal); !ok || problem.Status != http.StatusServiceUnavailable {
			t.Errorf("while stopping: %v, want only 503", refusal)
		}
	}

	// Everybody was told, and not the same.
	byes := crowd.wait(t)
	times := map[int64]int{}
	var latest int64
	for _, bye := range byes {
		if bye.Code != 1012 || bye.RetryAfterMS < 0 {
			t.Fatalf("a bye %s, want 1012", bye.Raw)
		}
		times[bye.RetryAfterMS]++
		latest = max(latest, bye.RetryAfterMS)
	}
	if len(byes) != size {
		t.Errorf("%d of %d sockets were told before they were closed with 1012", len(byes), size)
	}
	if least := min(size/2, 1_000); len(times) < least || latest < 2_000 || latest > 30_000 {
		t.Errorf("%d sockets come back at %d times up to %d ms, want at least %d times over seconds", size, len(times), latest, least)
	}

	// Bob moves to the other node with what he holds, and misses nothing.
	last, lastID := int64(0), client.MessageID("")
	bye := laptop.until("bye", func(f client.Frame) bool {
		if f.Type == "message" && f.Attempt == 1 {
			if f.Seq != last+1 {
				t.Fatalf("message %d after %d", f.Seq, last)
			}
			last, lastID = f.Seq, f.Message.MessageID
		}
		return f.Type == "bye"
	})
	laptop.endsWith(1012)
	pause(ctx, time.Duration(bye.RetryAfterMS)*time.Millisecond)
	moved := bob.at(b)
	dial := client.Dial{Device: "laptop"}
	if last > 0 {
		dial.LastSeq, dial.LastID = &last, lastID
	}
	again := moved.open(dial)
	if again.hello.Reset {
		t.Error("the other node does not know the position")
	}
	there.reach(t, 20)
	there.stop()
	head := moved.page(0, 1).Head
	if head <= last {
		t.Fatalf("nothing was sent meanwhile: head %d, held %d", head, last)
	}
	for last < head {
		if f := again.push(fmt.Sprintf("message %d", last+1)); f.Type == "message" {
			if f.Seq != last+1 {
				t.Fatalf("message %d after %d", f.Seq, last)
			}
			last = f.Seq
			if last%20 == 0 {
				moved.ack("laptop", last, last)
			}
		} else if f.Type == "behind" {
			for last < head {
				page := moved.sync(client.Pull{DeviceID: "laptop", After: last})
				last += int64(len(page.Entries))
				if len(page.Entries) == 0 {
					t.Fatalf("an empty page after %d of %d", last, head)
				}
			}
		}
	}
	for i := range here.attempts { // at the other node the doubtful ones are asked for again
		here.attempts[i].sender = here.attempts[i].sender.at(b)
	}
	here.attempts = append(here.attempts, there.attempts...)
	here.settle(t, moved)
}

// gathering is a crowd of sockets that listens until they are closed.
type gathering struct {
	done sync.WaitGroup
	mu   sync.Mutex
	byes []client.Frame // of those that were then closed with the same code
	ends []string       // of the others
}

// gather connects size devices of several users.
func gather(t *testing.T, s *system, size int) *gathering {
	t.Helper()
	const each = 50
	c := &gathering{}
	var sockets []*client.Socket
	var mu sync.Mutex
	t.Cleanup(func() {
		for _, socket := range sockets {
			if err := socket.Drop(); err != nil {
				t.Error(err)
			}
		}
		c.done.Wait()
	})
	group, ctx := errgroup.WithContext(within(t, 10*patience))
	group.SetLimit(8)
	var owner *actor
	for i := range size {
		if i%each == 0 {
			owner = s.user(t)
		}
		session := owner.Session
		group.Go(func() error {
			socket, err := session.Connect(ctx, client.Dial{Device: fmt.Sprint("device-", i)})
			if err != nil {
				return fmt.Errorf("socket %d: %w", i, err)
			}
			mu.Lock()
			sockets = append(sockets, socket)
			mu.Unlock()
			c.done.Go(func() { c.listen(t.Context(), socket) })
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
	return c
}

func (c *gathering) listen(ctx context.Context, socket *client.Socket) {
	var last client.Frame
	frame, err := socket.Next(ctx)
	for ; err == nil; frame, err = socket.Next(ctx) {
		last = frame
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if code := client.EndedWith(err); last.Type == "bye" && last.Code == code {
		c.byes = append(c.byes, last)
	} else {
		c.ends = append(c.ends, fmt.Sprintf("%s then %v", last.Type, err))
	}
}

// wait waits until all are closed and gives their byes.
func (c *gathering) wait(t *testing.T) []client.Frame {
	t.Helper()
	gone := make(chan struct{})
	go func() { c.done.Wait(); close(gone) }()
	select {
	case <-gone:
	case <-within(t, patience).Done():
		t.Fatal("sockets are open after the node has gone")
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for i, end := range c.ends {
		if i < 5 {
			t.Errorf("a socket ended without a bye: %s", end)
		}
	}
	return c.byes
}

// stuck begins a request that never ends.
func stuck(t *testing.T, s *system) {
	t.Helper()
	var dialer net.Dialer
	conn, err := dialer.DialContext(t.Context(), "tcp", strings.TrimPrefix(s.server.URL, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := conn.Close(); err != nil {
			t.Error(err)
		}
	})
	if _, err := fmt.Fprint(conn, "POST /v1/auth/login HTTP/1.1\r\nHost: ackbox\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{"); err != nil {
		t.Fatal(err)
	}
}

// TestConnectStorm: while the database does not get on, some connects are under way, some wait, and the rest are refused
// with different times to come back; nothing else suffers, and all get in when it does.
func TestConnectStorm(t *testing.T) {
	t.Parallel()
	const devices, atATime = 60, 2
	dsn := testenv.MySQL(t)
	s := mariaDB.startOn(t, storeEnv(dsn, testenv.StartRedis(t).URL()), fmt.Sprint("ACKBOX_CONNECT_CONCURRENCY=", atATime))
	alice, bob := s.user(t), s.user(t)

	db, err := sql.Open("mysql", dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	}()
	lock, err := db.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := lock.Close(); err != nil && !errors.Is(err, sql.ErrConnDone) {
			t.Error(err)
		}
	}()
	if _, err := lock.ExecContext(t.Context(), "LOCK TABLES devices WRITE"); err != nil {
		t.Fatal(err)
	}

	refusals := make(chan *client.Problem, 100*devices)
	group, ctx := errgroup.WithContext(within(t, 3*patience))
	for i := range devices {
		group.Go(func() error {
			for {
				socket, err := bob.Connect(ctx, client.Dial{Device: fmt.Sprint("device-", i)})
				if err == nil {
					frame, err := socket.Next(ctx)
					if err == nil && frame.Type != "hello" {
						err = fmt.Errorf("a first frame %s", frame.Raw)
					}
					return errors.Join(err, socket.Drop())
				}
				p, ok := client.AsProblem(err)
				if !ok || p.Status != http.StatusServiceUnavailable || p.Code != "unavailable" {
					return fmt.Errorf("a refusal that is no 503: %w", err)
				}
				refusals <- p
				pause(ctx, 300*time.Millisecond) // a client waits as long as it is told; the test has no time
			}
		})
	}
	times := map[string]bool{}
	for len(times) < 3 { // more than are in or wait, so that some are refused at once
		select {
		case p := <-refusals:
			if seconds, err := strconv.Atoi(p.RetryAfter); err != nil || seconds < 1 || seconds > 9 {
				t.Fatalf("Retry-After %q, want 1 to 9", p.RetryAfter)
			}
			times[p.RetryAfter] = true
		case <-ctx.Done():
			t.Fatalf("refusals with %d different times", len(times))
		}
	}
	alice.send(bob, "while the storm goes on")
	if _, err := lock.ExecContext(t.Context(), "UNLOCK TABLES"); err != nil {
		t.Fatal(err)
	}
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
	bob.openLive("one-more").alive()
}

// TestDrainUnread: a client that reads nothing does not keep a node from ending in order: it gives its node id back.
func TestDrainUnread(t *testing.T) {
	t.Parallel()
	s := embedded.start(t, "ACKBOX_ACK_TIMEOUT=1m")
	alice, bob := s.user(t), s.user(t)
	bob.openUnread(s, "slow")
	body := map[string]any{"text": strings.Repeat("x", 60_000)}
	for range 200 { // 12 MB: more than the link holds
		alice.sendDraft(client.Draft{ClientMsgID: uuid.NewString(), ToUserID: bob.id(), Type: "custom", Body: body})
	}
	began := time.Now()
	if err := s.server.Terminate(); err != nil {
		t.Errorf("the stop: %v", err)
	}
	if took := time.Since(began); took > stopTime {
		t.Errorf("the stop took %s, want at most %s", took, stopTime)
	}
}

// TestSecondSignal: who does not want to wait for the orderly end asks twice.
func TestSecondSignal(t *testing.T) {
	t.Parallel()
	s := embedded.start(t, "ACKBOX_DRAIN_DELAY=1m")
	s.server.Signal(syscall.SIGTERM)
	awaited(t, "the node to drain", func(ctx context.Context) error {
		answer, err := s.client.Do(ctx, client.Request{Method: http.MethodGet, Path: "/readyz"})
		if err == nil && answer.Status != http.StatusServiceUnavailable {
			err = fmt.Errorf("/readyz answers %d", answer.Status)
		}
		return err
	})
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for ctx := within(t, patience); ; {
		if err := syscall.Kill(s.server.Pid(), syscall.SIGTERM); err != nil && !errors.Is(err, syscall.ESRCH) {
			t.Fatal(err)
		}
		select {
		case <-s.server.Done():
			return
		case <-tick.C: // the first may have come before the process was ready for a second
		case <-ctx.Done():
			t.Fatal("the node goes on after a second SIGTERM")
		}
	}
}

// TestFullNode: a node that has all the sockets it may have says when to come back, keeps the ticket good, and takes the
// next when one has gone.
func TestFullNode(t *testing.T) {
	t.Parallel()
	s := embedded.start(t, "ACKBOX_MAX_SOCKETS=2")
	bob := s.user(t)
	first := bob.openLive("1")
	bob.openLive("2").alive()
	ticket, err := bob.Ticket(within(t, patience))
	if err != nil {
		t.Fatal(err)
	}
	third := func() (*client.Socket, error) {
		return s.client.Connect(within(t, patience), "", client.Dial{Device: "3", Ticket: ticket.Ticket})
	}
	_, err = third()
	if p := refused(t, err, "unavailable", http.StatusServiceUnavailable); p.RetryAfter == "" {
		t.Error("a full node does not say when to come back")
	}
	if log := s.server.Output(); strings.Contains(log, "level=WARN msg=request") { // a storm of them would fill it
		t.Errorf("the refusal is in the log: %s", log)
	}
	first.alive()
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	ctx := within(t, patience)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		socket, err := third()
		if err == nil {
			greeted(t, socket)
			return
		}
		refused(t, err, "unavailable", http.StatusServiceUnavailable)
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatal("there is no room although a socket has gone")
		}
	}
}
