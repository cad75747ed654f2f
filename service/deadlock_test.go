package service

import (
	"database/sql"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"ackbox/internal/testenv"
	"ackbox/model"
)

// deadlocks is how many the server has broken since its start. The store runs such transactions again, so nothing else
// than the server's count shows them.
func deadlocks(t *testing.T, server *testenv.MariaDB) (count int) {
	t.Helper()
	db, err := sql.Open("mysql", server.DSN(""))
	must(t, err)
	defer func() { must(t, db.Close()) }()
	var name string
	must(t, db.QueryRowContext(within(t), "SHOW GLOBAL STATUS LIKE 'Innodb_deadlocks'").Scan(&name, &count))
	return count
}

// TestNoDeadlock: rows are locked in one order, whatever order the requests came in, so two nodes that write the same rows
// wait for each other and never in a circle.
func TestNoDeadlock(t *testing.T) {
	t.Parallel()
	server := testenv.StartMariaDB(t) // its own: other tests deadlock on purpose
	for name, test := range map[string]func(t *testing.T, nodes []*node){"heads": overlappingGroups, "keys": sameKeys, "acks": sameAcks} {
		t.Run(name, func(t *testing.T) {
			store := openStore(t, model.Options{MySQLDSN: server.DSN("deadlock_" + name)})
			nodes := []*node{newNode(t, store, standard, newHandClock().now), newNode(t, store, standard, time.Now)}
			before := deadlocks(t, server)
			test(t, nodes)
			equal(t, "deadlocks", deadlocks(t, server)-before, 0)
		})
	}
}

// race runs work on each node at once.
func race(t *testing.T, nodes []*node, work func(i int, n *node) error) {
	t.Helper()
	var group errgroup.Group
	for i, n := range nodes {
		group.Go(func() error { return work(i, n) })
	}
	must(t, group.Wait())
}

// overlappingGroups: batches of messages of eight groups, of 20 members out of 40 each.
func overlappingGroups(t *testing.T, nodes []*node) {
	const people, groups, members, rounds, batch = 40, 8, 20, 50, 3
	first := nodes[0]
	users := make([]model.UserID, people)
	for i := range users {
		users[i] = first.user(t)
	}
	audiences := make([]*model.Audience, groups)
	for i := range audiences {
		var these []model.UserID
		for _, at := range rand.Perm(people)[:members] {
			these = append(these, users[at])
		}
		var err error
		audiences[i], err = first.audiences.Get(t.Context(), first.group(t, these[0], these[1:]...))
		must(t, err)
	}
	batches := make([][][]*send, 2*len(nodes))
	for i := range batches {
		for round := range rounds {
			var sends []*send
			for _, at := range rand.Perm(groups)[:batch] {
				a := audiences[at]
				sends = append(sends, newSend(first.text(t, a, a.Members[0], fmt.Sprint(i, " ", round, " ", at)), a))
			}
			batches[i] = append(batches[i], sends)
		}
	}
	entries := func() (sum int64) {
		for _, user := range users {
			head, err := first.store.MailboxHead(t.Context(), user)
			must(t, err)
			sum += head.Head
		}
		return sum
	}
	before := entries()
	race(t, append(nodes, nodes...), func(i int, n *node) error {
		for _, sends := range batches[i] {
			if err := n.writer.transact(within(t), sends); err != nil {
				return err
			}
		}
		return nil
	})
	equal(t, "entries", entries()-before, int64(len(batches)*rounds*batch*members))
}

// sameKeys: the same sends come to both nodes, in different orders.
func sameKeys(t *testing.T, nodes []*node) {
	const rounds, keys = 30, 100
	audience, a, b := nodes[0].pair(t)
	for round := range rounds {
		batches := make([][]*send, 2*len(nodes))
		for i := range batches {
			for _, key := range rand.Perm(keys) {
				batches[i] = append(batches[i], newSend(nodes[0].text(t, audience, a, fmt.Sprint(round, " ", key)), audience))
			}
		}
		race(t, append(nodes, nodes...), func(i int, n *node) error { return n.writer.transact(within(t), batches[i]) })
	}
	once(t, wholeMailbox(t, nodes[0].store, b), rounds*keys)
}

// sameAcks: the same acks, of devices that are new, come to both nodes, in different orders.
func sameAcks(t *testing.T, nodes []*node) {
	const rounds, readers = 30, 60
	owner, users := nodes[0].user(t), make([]model.UserID, readers)
	for i := range users {
		users[i] = nodes[0].user(t)
	}
	audience, err := nodes[0].audiences.Get(t.Context(), nodes[0].group(t, owner, users...))
	must(t, err)
	for round := range rounds {
		nodes[0].write(t, audience, owner, 1)
		race(t, append(nodes, nodes...), func(_ int, n *node) error {
			var batch []*ackRequest
			for _, at := range rand.Perm(readers) {
				key := model.DeviceKey{UserID: users[at], DeviceID: model.DeviceID(fmt.Sprint("d", round))}
				batch = append(batch, &ackRequest{Ack: Ack{Key: key, UpTo: seq(int64(round) + 2)}})
			}
			_, err := n.acker.commit(within(t), batch)
			return err
		})
	}
	for _, user := range users {
		member, err := nodes[0].store.MemberOf(t.Context(), audience.ConversationID, user)
		must(t, err)
		equal(t, "delivered", member.DeliveredSeq, rounds+1) // the first says that the group is there
	}
}
