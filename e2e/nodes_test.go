package e2e

import (
	"fmt"
	"net/http"
	"strconv"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"ackbox/client"
	"ackbox/internal/testenv"
)

// TestTwoNodes runs two servers on one MariaDB and one Redis: a client may use either for anything.
func TestTwoNodes(t *testing.T) {
	t.Parallel()
	stores := storeEnv(testenv.MySQL(t), testenv.StartRedis(t).URL())
	a := mariaDB.startOn(t, stores, "ACKBOX_ACK_TIMEOUT=1s", patientWithAcks)
	waiting := a.user(t)
	before := waiting.openLive("laptop")
	b := mariaDB.startOn(t, stores, "ACKBOX_ACK_TIMEOUT=1s", patientWithAcks)

	// A node that has just joined tells the others from its first moment: after a restart that is when all clients come back.
	t.Run("a node that has just joined is heard", func(t *testing.T) {
		after := (&actor{Session: waiting.Session, t: t}).at(b).openLive("laptop")
		before.t = t
		before.endsWith(4002)
		after.alive()
	})

	for _, behaviour := range []struct {
		name string
		run  func(t *testing.T, a, b *system)
	}{
		{"a send there reaches a socket here", crossSend},
		{"an ack there stops the repeats here", crossAck},
		{"the same device connecting there closes here", crossReplace},
		{"a logout there closes here", crossLogout},
		{"a logout there is known here", crossRefusal},
		{"a ticket from there opens here", crossTicket},
		{"racing sends with one key", crossRacingKey},
		{"a cursor reader sees no hole", func(t *testing.T, a, b *system) { raceToOneMailbox(t, []*system{a, b}, 8, 30) }},
		{"ids are unique", crossIDs},
		{"a device removed there is out here", crossDeviceRemoval},
		{"who comes and goes there is seen here", crossPresence},
	} {
		t.Run(behaviour.name, func(t *testing.T) {
			t.Parallel()
			behaviour.run(t, a, b)
		})
	}
}

func crossSend(t *testing.T, a, b *system) {
	alice, bob := a.user(t), b.user(t)
	phone, laptop := alice.openLive("phone"), bob.openLive("laptop")
	if phone.hello.Node == laptop.hello.Node {
		t.Fatalf("both nodes call themselves %q", phone.hello.Node)
	}
	for n := int64(1); n <= 3; n++ {
		sent := alice.send(bob, "over there")
		frame := laptop.pushes(n, n)[0]
		if d := difference(sent.Message, frame.Message); d != "" {
			t.Fatalf("another message than was sent (-sent +pushed):\n%s", d)
		}
		bob.ack("laptop", n, n)
		phone.receipt(bob, sent.Message.ConversationID, n, n)
		alice.ack("phone", n, n)
	}
}

func crossAck(t *testing.T, a, b *system) {
	alice, bob := a.user(t), b.user(t)
	laptop := bob.openLive("laptop")
	alice.send(bob, "ack me elsewhere")
	laptop.pushes(1, 1)
	bob.at(a).ack("laptop", 1, 1)
	laptop.none(3500*time.Millisecond, "second attempt", func(f client.Frame) bool { return f.Type == "message" })

	// What isn't acked is repeated: the silence above means something.
	alice.send(bob, "don't ack me")
	laptop.pushes(2, 2)
	laptop.until("second attempt", func(f client.Frame) bool { return f.Type == "message" && f.Seq == 2 && f.Attempt == 2 })
}

func crossReplace(t *testing.T, a, b *system) {
	bob := a.user(t)
	here := bob.openLive("laptop")
	other := bob.openLive("phone")
	there := bob.at(b).openLive("laptop")
	here.endsWith(4002)
	there.alive()
	other.alive()
}

func crossLogout(t *testing.T, a, b *system) {
	bob := a.user(t)
	laptop := bob.openLive("laptop")
	if _, err := bob.at(b).Logout(within(t, patience)); err != nil {
		t.Fatalf("logout: %v", err)
	}
	laptop.endsWith(4001)
}

func crossTicket(t *testing.T, a, b *system) {
	bob := a.user(t)
	ticket, err := bob.Ticket(within(t, patience))
	if err != nil {
		t.Fatal(err)
	}
	dial := client.Dial{Device: "browser", Ticket: ticket.Ticket}
	socket, err := b.client.Connect(within(t, patience), "", dial)
	if err != nil {
		t.Fatalf("connect: %v", err)
	}
	if l := greeted(t, socket); l.hello.UserID != bob.id() {
		t.Fatalf("hello says user %s, want %s", l.hello.UserID, bob.id())
	}
	_, err = a.client.Connect(within(t, patience), "", dial)
	refused(t, err, "", http.StatusUnauthorized)
}

func crossRacingKey(t *testing.T, a, b *system) {
	alice := a.user(t)
	for range 3 {
		raceOneKey(t, a.user(t), alice.Session, alice.At(b.client))
	}
}

func crossIDs(t *testing.T, a, b *system) {
	const calls, count = 10, 1000
	batches := make([][]string, 2*calls)
	group, ctx := errgroup.WithContext(within(t, patience))
	for i := range batches {
		session := []*system{a, b}[i%2].user(t).Session
		group.Go(func() (err error) {
			batches[i], err = session.FreshIDs(ctx, strconv.Itoa(count))
			return err
		})
	}
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
	seen := make(map[string]bool, 2*calls*count)
	for _, batch := range batches {
		if err := increasing(batch, count); err != nil {
			t.Fatal(err)
		}
		for _, id := range batch {
			if seen[id] {
				t.Fatalf("id %s was given twice", id)
			}
			seen[id] = true
		}
	}
}

// increasing checks that a batch has count ids, strictly increasing.
func increasing(batch []string, count int) error {
	if len(batch) != count {
		return fmt.Errorf("%d ids, want %d", len(batch), count)
	}
	last := int64(0)
	for _, text := range batch {
		id, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			return fmt.Errorf("id %q: %w", text, err)
		}
		if id <= last {
			return fmt.Errorf("id %d after %d", id, last)
		}
		last = id
	}
	return nil
}
