package e2e

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"ackbox/client"
)

// socketHello: the first frame says who, where and how.
func socketHello(t *testing.T, s *system) {
	_, bob, _ := filled(t, s, 3)
	bob.ack("laptop", 2, 2)
	hello := bob.open(client.Dial{Device: "laptop"}).hello
	if hello.ConnectionID == "" || hello.Node == "" || hello.UserID != bob.id() || hello.DeviceID != "laptop" ||
		hello.Acked != 2 || hello.Head != 3 || hello.Floor != 1 || hello.Reset || hello.HeartbeatMS <= 0 || hello.AckTimeoutMS <= 0 {
		t.Errorf("got %s", hello.Raw)
	}
	if !strings.HasPrefix(string(hello.Raw), `{"type":"hello"`) {
		t.Errorf("type is not the first field: %s", hello.Raw)
	}
	if d := hello.TokenExpiresAt.Sub(bob.ExpiresAt).Abs(); d > time.Second {
		t.Errorf("token_expires_at is %s away from the login's expires_at", d)
	}
	other := bob.open(client.Dial{Device: "phone"}).hello
	if other.ConnectionID == hello.ConnectionID {
		t.Error("two connections have one connection_id")
	}
}

// socketBacklog: what waits is pushed in order, then synced, then live.
func socketBacklog(t *testing.T, s *system) {
	alice, bob, entries := filled(t, s, 30)
	laptop := bob.open(client.Dial{Device: "laptop"})
	for i, frame := range laptop.pushes(1, 30) {
		if d := difference(entries[i].Message, frame.Message); d != "" {
			t.Fatalf("push %d is another message than the mailbox has (-mailbox +pushed):\n%s", frame.Seq, d)
		}
	}
	laptop.synced(30)
	alice.send(bob, "live")
	laptop.pushes(31, 31)
}

// pullAndAck does what a device that is behind must do, from the entries that it holds.
func (a *actor) pullAndAck(device string, held int64) (head int64) {
	a.t.Helper()
	head = held
	for {
		page := a.sync(client.Pull{DeviceID: device, After: head, Limit: 200})
		for _, entry := range page.Entries {
			if head++; entry.Seq != head {
				a.t.Fatalf("pull: seq %d where %d should be", entry.Seq, head)
			}
		}
		if !page.HasMore {
			a.ack(device, head, head)
			return head
		}
	}
}

// socketBehindOnConnect: of more than 100 waiting entries the first 100 are pushed, the rest is pulled; pushes resume then.
func socketBehindOnConnect(t *testing.T, s *system) {
	alice, bob, _ := filled(t, s, 120)
	zero := int64(0)
	laptop := bob.open(client.Dial{Device: "laptop", LastSeq: &zero})
	laptop.pushes(1, 100)
	if frame := laptop.push("behind"); frame.Type != "behind" || frame.Head != 120 || frame.ConversationID != "" {
		t.Fatalf("got %.200s, want behind with head 120", frame.Raw)
	}
	alice.send(bob, "while behind")
	laptop.none(time.Second, "push while behind", func(f client.Frame) bool { return f.Type == "message" && f.Seq > 100 })
	if head := bob.pullAndAck("laptop", 100); head != 121 {
		t.Fatalf("pulled up to %d, want 121", head)
	}
	alice.send(bob, "live again")
	laptop.until("push 122", func(f client.Frame) bool {
		if f.Type == "message" && f.Seq > 122 {
			t.Fatalf("push %d, want 122 first", f.Seq)
		}
		return f.Type == "message" && f.Seq == 122
	})
}

// socketBehindInFlight: at most 256 un-acked entries are in flight; then the device is behind until it has acked up to head.
func socketBehindInFlight(t *testing.T, b backend) {
	s := b.start(t, "ACKBOX_ACK_TIMEOUT=1m") // filling takes its time on a busy machine
	alice, bob := s.user(t), s.user(t)
	laptop := bob.openLive("laptop")
	alice.fill(bob, 300)
	pushed := int64(0)
	for {
		frame := laptop.push("behind")
		if frame.Type == "behind" {
			if frame.Head <= pushed || frame.Head > 300 {
				t.Fatalf("behind says head %d after push %d of 300", frame.Head, pushed)
			}
			break
		}
		if pushed++; frame.Type != "message" || frame.Seq != pushed {
			t.Fatalf("got %.200s, want message %d or behind", frame.Raw, pushed)
		}
		if pushed > 256 {
			t.Fatal("more than 256 un-acked entries were pushed")
		}
	}
	t.Logf("behind after %d pushes", pushed)
	if head := bob.pullAndAck("laptop", pushed); head != 300 {
		t.Fatalf("pulled up to %d, want 300", head)
	}
	alice.send(bob, "live again")
	laptop.until("push 301", func(f client.Frame) bool { return f.Type == "message" && f.Seq == 301 })
}

// socketLastSeq: last_seq acks what the device holds and sends what is after it; the sender is told.
func socketLastSeq(t *testing.T, s *system) {
	alice, bob, entries := filled(t, s, 8)
	phone := alice.openLive("phone")
	five := int64(5)
	laptop := bob.open(client.Dial{Device: "laptop", LastSeq: &five, LastID: entries[4].Message.MessageID})
	if laptop.hello.Acked != 5 || laptop.hello.Reset {
		t.Errorf("got %s, want acked 5 and no reset", laptop.hello.Raw)
	}
	laptop.pushes(6, 8)
	laptop.synced(8)
	bob.acked("laptop", 5)
	phone.receipt(bob, entries[0].Message.ConversationID, 5, 5)

	eight := int64(8)
	again := bob.open(client.Dial{Device: "laptop", LastSeq: &eight})
	again.synced(8)
	bob.acked("laptop", 8)
	if again.hello.Acked != 8 {
		t.Errorf("got %s, want acked 8", again.hello.Raw)
	}
	// A position never goes back.
	back := bob.open(client.Dial{Device: "laptop", LastSeq: &five})
	if back.hello.Acked != 8 {
		t.Errorf("got %s, want acked 8", back.hello.Raw)
	}
	bob.acked("laptop", 8)
}

// socketReset: a position that the mailbox doesn't have is told in hello, and nothing is acked.
func socketReset(t *testing.T, s *system) {
	_, bob, entries := filled(t, s, 8)
	five, nine := int64(5), int64(9)
	for name, dial := range map[string]client.Dial{
		"another entry's id": {LastSeq: &five, LastID: entries[5].Message.MessageID},
		"no message's id":    {LastSeq: &five, LastID: "9007199254740993"},
		"beyond head":        {LastSeq: &nine, LastID: entries[7].Message.MessageID},
	} {
		t.Run(name, func(t *testing.T) {
			bob := &actor{Session: bob.Session, t: t}
			dial.Device = "laptop"
			if hello := bob.open(dial).hello; !hello.Reset || hello.Acked != 0 || hello.Head != 8 {
				t.Errorf("got %s, want reset with acked 0 and head 8", hello.Raw)
			}
			bob.acked("laptop", 0)
		})
	}
}

// socketNewDevice: a device that was never seen starts at the newest 100 entries.
func socketNewDevice(t *testing.T, s *system) {
	alice, bob, _ := filled(t, s, 130)
	laptop := bob.open(client.Dial{Device: "laptop"})
	laptop.pushes(31, 130)
	laptop.synced(130)
	bob.ack("laptop", 130, 130)
	alice.send(bob, "live")
	laptop.pushes(131, 131)
}

// socketResume: without last_seq the server goes on where the device's acks are.
func socketResume(t *testing.T, s *system) {
	alice, bob := s.user(t), s.user(t)
	laptop := bob.openLive("laptop")
	for range 8 {
		alice.send(bob, "hi")
	}
	laptop.pushes(1, 8)
	bob.ack("laptop", 5, 5)
	if err := laptop.Close(); err != nil {
		t.Fatal(err)
	}
	alice.send(bob, "while away")
	laptop = bob.open(client.Dial{Device: "laptop"})
	if laptop.hello.Acked != 5 || laptop.hello.Head != 9 {
		t.Errorf("got %s, want acked 5 and head 9", laptop.hello.Raw)
	}
	laptop.pushes(6, 9)
	laptop.synced(9)
}

// socketTicket: a ticket opens one socket, from the query or as a subprotocol.
func socketTicket(t *testing.T, s *system) {
	bob := s.user(t)
	for name, with := range map[string]func(ticket string) client.Dial{
		"query":       func(ticket string) client.Dial { return client.Dial{Device: "browser-q", Ticket: ticket} },
		"subprotocol": func(ticket string) client.Dial { return client.Dial{Device: "browser-p", TicketProtocol: ticket} },
	} {
		t.Run(name, func(t *testing.T) {
			ticket, err := bob.Ticket(within(t, patience))
			if err != nil {
				t.Fatal(err)
			}
			if left := time.Until(ticket.ExpiresAt); left <= 0 || left > 31*time.Second {
				t.Errorf("the ticket expires in %s, want about 30 s", left)
			}
			dial := with(ticket.Ticket)
			dial.Origin = s.client.Base()
			socket, err := s.client.Connect(within(t, patience), "", dial)
			if err != nil {
				t.Fatalf("connect: %v", err)
			}
			l := greeted(t, socket)
			if l.hello.UserID != bob.id() || l.Protocol() != client.Subprotocol {
				t.Errorf("user %s, subprotocol %q; want %s and %s", l.hello.UserID, l.Protocol(), bob.id(), client.Subprotocol)
			}
			_, err = s.client.Connect(within(t, patience), "", dial)
			refused(t, err, "", http.StatusUnauthorized)
			l.alive()
		})
	}
	_, err := s.client.Connect(within(t, patience), "", client.Dial{Device: "browser", Ticket: "garbage"})
	refused(t, err, "", http.StatusUnauthorized)
	_, err = s.client.Connect(within(t, patience), "", client.Dial{Device: "browser", TicketProtocol: "garbage"})
	refused(t, err, "", http.StatusUnauthorized)
}

// socketRefusals: what is wrong before the upgrade is a plain HTTP answer.
func socketRefusals(t *testing.T, s *system) {
	bob := s.user(t)
	for name, want := range map[string]struct {
		token  string
		query  url.Values
		status int
	}{
		"no authorisation":     {"", url.Values{"device_id": {"laptop"}}, http.StatusUnauthorized},
		"garbage token":        {"garbage", url.Values{"device_id": {"laptop"}}, http.StatusUnauthorized},
		"no device":            {bob.AccessToken, url.Values{}, http.StatusUnprocessableEntity},
		"empty device":         {bob.AccessToken, url.Values{"device_id": {""}}, http.StatusUnprocessableEntity},
		"device with a space":  {bob.AccessToken, url.Values{"device_id": {"my phone"}}, http.StatusUnprocessableEntity},
		"device too long":      {bob.AccessToken, url.Values{"device_id": {strings.Repeat("d", 65)}}, http.StatusUnprocessableEntity},
		"device not ASCII":     {bob.AccessToken, url.Values{"device_id": {"téléphone"}}, http.StatusUnprocessableEntity},
		"last_seq not a seq":   {bob.AccessToken, url.Values{"device_id": {"laptop"}, "last_seq": {"new"}}, http.StatusUnprocessableEntity},
		"last_seq negative":    {bob.AccessToken, url.Values{"device_id": {"laptop"}, "last_seq": {"-1"}}, http.StatusUnprocessableEntity},
		"last_seq beyond int":  {bob.AccessToken, url.Values{"device_id": {"laptop"}, "last_seq": {"9223372036854775808"}}, http.StatusUnprocessableEntity},
		"last_id not an id":    {bob.AccessToken, url.Values{"device_id": {"laptop"}, "last_seq": {"1"}, "last_id": {"x"}}, http.StatusUnprocessableEntity},
		"last_id out of range": {bob.AccessToken, url.Values{"device_id": {"laptop"}, "last_seq": {"1"}, "last_id": {"9223372036854775808"}}, http.StatusUnprocessableEntity},
	} {
		t.Run(name, func(t *testing.T) {
			socket, err := s.client.ConnectQuery(within(t, patience), want.token, want.query, client.Dial{})
			if err == nil {
				greeted(t, socket)
				t.Fatal("connected")
			}
			refused(t, err, "", want.status)
		})
	}
	t.Run("longest device", func(t *testing.T) {
		bob := &actor{Session: bob.Session, t: t}
		bob.openLive("A.z_0-" + strings.Repeat("d", 58))
	})
	t.Run("no upgrade", func(t *testing.T) {
		_, err := bob.Call(within(t, patience), http.MethodGet, "/v1/ws?device_id=laptop", nil, nil)
		refused(t, err, "", http.StatusBadRequest, http.StatusUpgradeRequired, http.StatusUnprocessableEntity)
	})
}

// socketOrigin: browsers may connect from the server's own pages only.
func socketOrigin(t *testing.T, s *system) {
	bob := s.user(t)
	for _, origin := range []string{"https://evil.example", "null", s.client.Base() + ".evil.example", "https" + strings.TrimPrefix(s.client.Base(), "http") + "0"} {
		socket, err := bob.Connect(within(t, patience), client.Dial{Device: "browser", Origin: origin})
		if err == nil {
			greeted(t, socket)
			t.Errorf("origin %s connected", origin)
			continue
		}
		refused(t, err, "", http.StatusForbidden)
	}
	bob.open(client.Dial{Device: "browser", Origin: s.client.Base()}).alive()
}

// socketClientData: the socket only pushes; whoever writes to it is closed with 1003.
func socketClientData(t *testing.T, s *system) {
	bob := s.user(t)
	for kind, name := range map[int]string{websocket.TextMessage: "text", websocket.BinaryMessage: "binary"} {
		laptop := bob.openLive("laptop-" + name)
		if err := laptop.WriteData(kind, []byte(`{"type":"message"}`)); err != nil {
			t.Fatal(err)
		}
		laptop.endsWith(1003)
	}
	big := bob.openLive("laptop-big")
	if err := big.WriteData(websocket.TextMessage, make([]byte, 300<<10)); err != nil {
		t.Logf("the server closed while it was written to: %v", err)
	}
	if code := big.ended(); code != 1003 && code != 0 {
		t.Errorf("a large data frame: closed with %d, want 1003", code)
	}
}

// socketReplaced: the same device connecting again closes its former connection; another user's device of that name stays.
func socketReplaced(t *testing.T, s *system) {
	alice, bob := s.user(t), s.user(t)
	others := alice.openLive("laptop")
	first := bob.openLive("laptop")
	second := bob.openLive("laptop")
	first.endsWith(4002)
	alice.send(bob, "to the second")
	second.pushes(1, 1)
	others.alive()
}

// socketDevices: each device is pushed everything and has a position of its own.
func socketDevices(t *testing.T, s *system) {
	alice, bob := s.user(t), s.user(t)
	laptop, phone := bob.openLive("laptop"), bob.openLive("phone")
	alice.send(bob, "to all devices")
	laptop.pushes(1, 1)
	phone.pushes(1, 1)
	bob.ack("laptop", 1, 1)
	bob.acked("phone", 0)
	phone.until("the second attempt", func(f client.Frame) bool { return f.Type == "message" && f.Seq == 1 && f.Attempt == 2 })
	laptop.none(500*time.Millisecond, "second attempt on the device that acked", func(f client.Frame) bool { return f.Type == "message" })
}

// socketLogout: a logout closes that session's sockets; so does the reuse of a refresh token. Other sessions stay.
func socketLogout(t *testing.T, s *system) {
	bob := s.user(t)
	credentials := client.Credentials{Username: bob.User.Username, Password: password}
	signIn := func() *actor {
		session, err := s.client.Login(within(t, patience), credentials)
		if err != nil {
			t.Fatalf("login: %v", err)
		}
		return &actor{Session: session, t: t}
	}
	second, third := signIn(), signIn()
	laptop, phone, tablet := bob.openLive("laptop"), second.openLive("phone"), third.openLive("tablet")
	if answer, err := bob.Logout(within(t, patience)); err != nil || answer.Status != http.StatusNoContent {
		t.Fatalf("logout: %d, %v; want 204", answer.Status, err)
	}
	laptop.endsWith(4001)
	phone.alive()

	if _, err := s.client.Refresh(within(t, patience), second.RefreshToken); err != nil {
		t.Fatalf("refresh: %v", err)
	}
	phone.alive()
	_, err := s.client.Refresh(within(t, patience), second.RefreshToken)
	refused(t, err, "", http.StatusUnauthorized)
	phone.endsWith(4001)
	tablet.alive()
}

// socketPing: the protocol's own pings are answered.
func socketPing(t *testing.T, s *system) {
	l := s.user(t).openLive("laptop")
	for i := range 3 {
		if err := l.Ping(within(t, patience), fmt.Sprintf("ping %d", i)); err != nil {
			t.Fatal(err)
		}
	}
}

// lastAttempt: entries that stay un-acked after the last attempt close the socket with 4008; the mailbox keeps them.
func lastAttempt(t *testing.T, b backend) {
	s := b.start(t, "ACKBOX_ACK_TIMEOUT=1s", "ACKBOX_ACK_MAX_ATTEMPTS=2")
	alice, bob := s.user(t), s.user(t)
	silent, careful := bob.openLive("silent"), bob.openLive("careful")
	if silent.hello.AckTimeoutMS != 1000 {
		t.Errorf("hello says ack_timeout_ms %d, want 1000", silent.hello.AckTimeoutMS)
	}
	alice.send(bob, "ack me")
	careful.pushes(1, 1)
	bob.ack("careful", 1, 1)
	silent.pushes(1, 1)
	silent.until("the second attempt", func(f client.Frame) bool { return f.Type == "message" && f.Seq == 1 && f.Attempt == 2 })
	for {
		frame, err := silent.next(within(t, patience))
		if err == nil {
			if frame.Type == "message" {
				t.Fatalf("got %.200s after the last attempt", frame.Raw)
			}
			continue
		}
		if code := client.EndedWith(err); code != 4008 {
			t.Fatalf("ended with %v, want 4008", err)
		}
		break
	}
	careful.alive()
	silent = bob.open(client.Dial{Device: "silent"})
	silent.pushes(1, 1)
	bob.ack("silent", 1, 1)
	silent.none(2500*time.Millisecond, "further attempt", func(f client.Frame) bool { return f.Type == "message" })
}

// heartbeat: ping frames come in time and tell the head.
func heartbeat(t *testing.T, b backend) {
	s := b.start(t, "ACKBOX_HEARTBEAT=1s")
	alice, bob := s.user(t), s.user(t)
	laptop := bob.openLive("laptop")
	if laptop.hello.HeartbeatMS != 1000 {
		t.Fatalf("hello says heartbeat_ms %d, want the configured 1000", laptop.hello.HeartbeatMS)
	}
	ping := func(head int64) client.Frame {
		t.Helper()
		frame := laptop.until("ping", func(f client.Frame) bool { return f.Type == "ping" })
		if frame.Head != head {
			t.Errorf("got %s, want head %d", frame.Raw, head)
		}
		return frame
	}
	first, second := ping(0), ping(0)
	if gap := second.At.Sub(first.At); gap < 500*time.Millisecond || gap > 5*time.Second {
		t.Errorf("%s between two pings, want about 1 s", gap)
	}
	alice.send(bob, "hi")
	laptop.pushes(1, 1)
	bob.ack("laptop", 1, 1)
	laptop.until("ping with head 1", func(f client.Frame) bool { return f.Type == "ping" && f.Head == 1 })
}

// tokenExpiry: an expired access token is refused, and closes the socket that it opened with 4001.
func tokenExpiry(t *testing.T, b backend) {
	s := b.start(t, "ACKBOX_ACCESS_TOKEN_TTL=3s")
	bob := s.user(t)
	socket, err := bob.Connect(within(t, patience), client.Dial{Device: "laptop"})
	if err != nil {
		t.Fatalf("connect: %v", err)
	}
	laptop := greeted(t, socket)
	if d := laptop.hello.TokenExpiresAt.Sub(bob.ExpiresAt).Abs(); d > time.Second {
		t.Errorf("token_expires_at is %s away from expires_at", d)
	}
	laptop.endsWith(4001)
	timer := time.NewTimer(time.Until(bob.ExpiresAt) + 1500*time.Millisecond) // the expiry has whole seconds
	defer timer.Stop()
	<-timer.C
	_, err = bob.Me(within(t, patience))
	refused(t, err, "", http.StatusUnauthorized)
	_, err = bob.Connect(within(t, patience), client.Dial{Device: "laptop"})
	refused(t, err, "", http.StatusUnauthorized)
	renewed, err := s.client.Refresh(within(t, patience), bob.RefreshToken)
	if err != nil {
		t.Fatalf("refresh: %v", err)
	}
	if _, err := renewed.Me(within(t, patience)); err != nil {
		t.Fatalf("with the renewed token: %v", err)
	}
}
