package service

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"golang.org/x/sync/errgroup"

	"ackbox/model"
)

const (
	membershipRounds = 400 // when ACKBOX_TEST_ROUNDS does not say how many; make soak: 10,000
	crowdUsers       = 16
	crowdParties     = 12 // groups that are raced at the same time
	partyRounds      = 25 // of one group, in a batch
)

// TestMembership races sends against people who come and go, on two nodes of one database: in a round, several
// things happen to one group at the same moment. The notices are in the same order as the messages, so they say who
// belonged to the group at each conversation_seq: exactly those have the message, in the tables and on their
// devices. A third of the groups is delivered by mailbox, a third by log, and a third outgrows the mailboxes meanwhile.
func TestMembership(t *testing.T) {
	t.Parallel()
	rounds := membershipRounds
	if text := os.Getenv("ACKBOX_TEST_ROUNDS"); text != "" {
		var err error
		rounds, err = strconv.Atoi(text)
		must(t, err)
	}
	onBothBackends(t, func(t *testing.T, store *model.Store) {
		began := time.Now()
		c := newCrowd(t, store)
		done := 0
		for ; done < rounds; done += crowdParties * partyRounds {
			c.batch()
			c.check()
		}
		t.Logf("%d rounds in %s: %d messages, %d sends refused, %d changes of membership, %d groups outgrew the mailboxes, %d pulls", done, time.Since(began), c.messages, c.refused, c.changes, c.outgrown, c.pulls)
		if c.refused == 0 || c.changes == 0 || c.outgrown == 0 {
			t.Error("the race had no losers")
		}
	})
}

// crowd is people who meet in groups, each with a device on one of two nodes.
type crowd struct {
	t         *testing.T
	seed      uint64
	batches   int
	nodes     [2]*node
	messenger [2]*Messages
	groups    [3][2]*Groups // by kind of party
	users     []model.UserID
	devices   map[model.UserID]*listener
	parties   []*party
	blocking  sync.Mutex // one blocks at a time

	checked map[model.UserID]int64 // of their mailboxes
	direct  map[model.ConversationID]*private
	mu      sync.Mutex
	read    []reading // what was answered to who asked for a history

	messages, refused, changes, outgrown, pulls int
}

// private is the direct conversation of two.
type private struct {
	pair    []model.UserID
	checked int64
}

// reading is a history that was answered.
type reading struct {
	user  model.UserID
	party *party
	seqs  []int64
}

// Kinds of parties.
const (
	mailboxParty = iota
	outgrowingParty
	logParty
)

var partyLimits = [...]int{mailboxParty: 1_000, outgrowingParty: 6, logParty: 2}

func newCrowd(t *testing.T, store *model.Store) *crowd {
	t.Helper()
	c := &crowd{t: t, seed: rand.Uint64(), devices: map[model.UserID]*listener{}, checked: map[model.UserID]int64{}, direct: map[model.ConversationID]*private{}}
	t.Logf("seed %d", c.seed)
	server := miniredis.RunT(t)
	options := standard
	options.AckTimeout, options.MaxAttempts = time.Minute, 100
	for i := range c.nodes {
		n := newNode(t, store, options, time.Now)
		n.delivery.SetAudiences(n.audiences)
		c.nodes[i], c.messenger[i] = n, n.messages(t, server)
		for kind, limit := range partyLimits {
			c.groups[kind][i] = NewGroups(store, n.ids, n.writer, n.conversations, n.delivery, limit, 100, time.Now)
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	var leases sync.WaitGroup
	leases.Go(func() { c.renew(ctx) })
	t.Cleanup(func() {
		cancel()
		leases.Wait()
	})
	wire(t, c.nodes[0], c.nodes[1])
	wire(t, c.nodes[1], c.nodes[0])
	for i := range crowdUsers {
		user := c.nodes[0].user(t)
		c.users = append(c.users, user)
		c.devices[user] = c.nodes[i%2].listen(t, user)
	}
	return c
}

// renew keeps the nodes' leases, as a job does: the race may be long.
func (c *crowd) renew(ctx context.Context) {
	for pause(ctx, time.Second) == nil {
		for _, n := range c.nodes {
			if err := n.ids.Renew(ctx); err != nil && ctx.Err() == nil {
				c.t.Errorf("renew: %v", err)
			}
		}
	}
}

// wired is a relay to one other node of this process that loses nothing.
type wired struct {
	alone
	to    *Delivery
	queue *batcher[func()]
}

func wire(t *testing.T, from, to *node) {
	t.Helper()
	w := &wired{to: to.delivery, queue: newBatcher(1, 256, 1<<20, func(batch []func()) {
		for _, tell := range batch {
			tell()
		}
	})}
	from.delivery.SetRelay(w)
	t.Cleanup(w.queue.stop)
}

func (w *wired) tell(what func()) {
	if err := w.queue.put(what); err != nil {
		metrics.relayDropped.Inc()
	}
}

func (w *wired) Entries(batch []Committed) {
	w.tell(func() {
		for _, c := range batch {
			for _, e := range c.Entries {
				w.to.Entry(e.UserID, e.Seq, c.JSON)
			}
		}
	})
}

func (w *wired) Log(m logMessage) {
	m.audience = nil
	w.tell(func() { w.to.logs.offer(m) })
}

func (w *wired) Left(users []model.UserID, id model.ConversationID, seq int64) {
	w.tell(func() { w.to.dropLog(users, id, seq) })
}

func (w *wired) Acked(key model.DeviceKey, upTo int64, single []int64) {
	w.tell(func() { w.to.Settle(key, upTo, single) })
}

func (w *wired) AckedLog(key model.DeviceKey, p model.LogPosition) {
	w.tell(func() { w.to.SettleLog(key, p) })
}

// party is one group of a batch: its owner stays, the others come and go.
type party struct {
	crowd  *crowd
	kind   int
	id     model.ConversationID
	owner  model.UserID
	guests []model.UserID
	random *rand.Rand

	mu       sync.Mutex
	accepted []*model.Message
	refused  int

	may map[model.UserID]map[int64]bool // what each may see
	log int64                           // the first conversation_seq that is in no mailbox
}

// patience is for a whole batch.
func (c *crowd) patience() context.Context {
	ctx, cancel := context.WithTimeout(c.t.Context(), 4*patience)
	c.t.Cleanup(cancel)
	return ctx
}

// batch runs rounds of new groups, all groups at the same time.
func (c *crowd) batch() {
	c.t.Helper()
	c.batches++
	c.parties = nil
	racing, ctx := errgroup.WithContext(c.patience())
	for i := range crowdParties {
		p := &party{crowd: c, kind: i % len(partyLimits), random: rand.New(rand.NewPCG(c.seed, uint64(c.batches*crowdParties+i))), may: map[model.UserID]map[int64]bool{}}
		people := slices.Clone(c.users)
		p.random.Shuffle(len(people), func(a, b int) { people[a], people[b] = people[b], people[a] })
		p.owner, p.guests = people[0], people[1:10]
		c.parties = append(c.parties, p)
		racing.Go(func() error {
			view, _, err := c.groups[p.kind][i%2].Create(ctx, p.owner, "", "a party", p.guests[:2+p.random.IntN(3)])
			if err != nil {
				return fmt.Errorf("create: %w", err)
			}
			p.id = view.Conversation.ID
			for range partyRounds {
				if err := p.round(ctx); err != nil {
					return err
				}
			}
			return nil
		})
	}
	must(c.t, racing.Wait())
	for _, n := range c.nodes { // what the jobs do
		must(c.t, n.delivery.Sweep(c.t.Context()))
		must(c.t, n.delivery.Retry(c.t.Context()))
	}
}

// round lets several things happen to the group at the same moment: a send and a change of its members
// at least.
func (p *party) round(ctx context.Context) error {
	acts := []func(context.Context) error{p.send(), p.change()}
	for range 1 + p.random.IntN(3) {
		switch n := p.random.IntN(40); {
		case n < 18:
			acts = append(acts, p.send())
		case n < 35:
			acts = append(acts, p.change())
		case n < 37:
			acts = append(acts, p.history())
		case n < 39:
			acts = append(acts, p.recall())
		default:
			acts = append(acts, p.block())
		}
	}
	start := make(chan struct{})
	round, ctx := errgroup.WithContext(ctx)
	for _, act := range acts {
		round.Go(func() error {
			<-start
			return act(ctx)
		})
	}
	close(start)
	return round.Wait()
}

func (p *party) guest() model.UserID { return p.guests[p.random.IntN(len(p.guests))] }

// gone is nil for what is refused to who does not belong.
func gone(what string, err error) error {
	if err == nil || model.CodeOf(err) == model.CodeNotFound {
		return nil
	}
	return fmt.Errorf("%s: %w", what, err)
}

func (p *party) send() func(context.Context) error {
	from, by := p.owner, p.crowd.messenger[p.random.IntN(2)]
	if p.random.IntN(3) > 0 {
		from = p.guest()
	}
	draft := Draft{Sender: from, ClientMsgID: fmt.Sprint(p.random.Uint64()), Conversation: p.id, Type: model.TypeText, Body: `{"text":"hi"}`}
	return func(ctx context.Context) error {
		sent, err := by.Send(ctx, draft)
		p.mu.Lock()
		defer p.mu.Unlock()
		switch {
		case err == nil:
			p.accepted = append(p.accepted, sent.Message)
		case from != p.owner:
			p.refused++
			return gone("send", err)
		}
		return err
	}
}

func (p *party) change() func(context.Context) error {
	groups, who, other := p.crowd.groups[p.kind][p.random.IntN(2)], p.guest(), p.guest()
	switch n := p.random.IntN(20); {
	case n < 11:
		return func(ctx context.Context) error {
			if err := groups.Add(ctx, p.owner, p.id, []model.UserID{who, other}); err != nil {
				return fmt.Errorf("add: %w", err)
			}
			return nil
		}
	case n < 16:
		return func(ctx context.Context) error { return gone("leave", groups.Remove(ctx, who, p.id, who)) }
	default:
		return func(ctx context.Context) error { return gone("remove", groups.Remove(ctx, p.owner, p.id, who)) }
	}
}

func (p *party) history() func(context.Context) error {
	user, by := p.guest(), p.crowd.nodes[p.random.IntN(2)].conversations
	return func(ctx context.Context) error {
		list, _, _, err := by.History(ctx, user, p.id, nil, nil, 30)
		r := reading{user: user, party: p}
		for _, m := range list {
			r.seqs = append(r.seqs, m.ConversationSeq)
		}
		p.crowd.mu.Lock()
		p.crowd.read = append(p.crowd.read, r)
		p.crowd.mu.Unlock()
		return gone("history", err)
	}
}

func (p *party) recall() func(context.Context) error {
	by := p.crowd.messenger[p.random.IntN(2)]
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.accepted) == 0 {
		return func(context.Context) error { return nil }
	}
	message := p.accepted[p.random.IntN(len(p.accepted))]
	return func(ctx context.Context) error {
		if _, err := by.Recall(ctx, p.owner, message.ID); err != nil {
			return fmt.Errorf("recall: %w", err)
		}
		return nil
	}
}

// block races a direct message against a block, which is nothing to their groups.
func (p *party) block() func(context.Context) error {
	c := p.crowd
	me, other := p.owner, p.guest()
	blocks, by := c.nodes[p.random.IntN(2)].conversations, c.messenger[p.random.IntN(2)]
	key := fmt.Sprint(p.random.Uint64())
	return func(ctx context.Context) error {
		c.blocking.Lock()
		defer c.blocking.Unlock()
		write := func(ctx context.Context, key string) error {
			_, err := by.Send(ctx, hi(other, me, key))
			return err
		}
		id, err := blocks.Direct(ctx, me, other)
		if err != nil {
			return err
		}
		if c.direct[id] == nil {
			c.direct[id] = &private{pair: []model.UserID{me, other}}
		}
		racing, racingCtx := errgroup.WithContext(ctx)
		racing.Go(func() error { return blocks.SetBlock(racingCtx, me, other, true) })
		racing.Go(func() error {
			if err := write(racingCtx, key+"a"); err != nil && model.CodeOf(err) != model.CodeBlocked {
				return err
			}
			return nil
		})
		if err := racing.Wait(); err != nil {
			return err
		}
		if err := write(ctx, key+"b"); model.CodeOf(err) != model.CodeBlocked {
			return fmt.Errorf("after a block: %w", err)
		}
		if err := blocks.SetBlock(ctx, me, other, false); err != nil {
			return err
		}
		return write(ctx, key+"c")
	}
}

// check compares the tables and the devices with what the orders of the batch's groups say.
func (c *crowd) check() {
	c.t.Helper()
	want := map[model.UserID]map[model.ConversationID][]shown{} // what is in whose mailbox
	for _, user := range c.users {
		want[user] = map[model.ConversationID][]shown{}
	}
	for _, p := range c.parties {
		p.replay(want)
	}
	for id, p := range c.direct {
		for _, m := range c.order(id)[p.checked:] {
			for _, user := range p.pair {
				want[user][id] = append(want[user][id], m.place())
			}
			p.checked++
		}
	}
	for _, user := range c.users {
		c.checkMailbox(user, want[user])
	}
	for _, user := range c.users {
		c.checkDevice(user)
	}
	for _, r := range c.read {
		for _, s := range r.seqs {
			if !r.party.may[r.user][s] {
				c.t.Errorf("a history has %d of group %d for %d, who did not belong", s, r.party.id, r.user)
			}
		}
	}
	c.read = nil
	for _, user := range c.users {
		c.devices[user].settled(c.t)
	}
	if c.t.Failed() {
		c.t.FailNow()
	}
}

// ordered is a message in its order.
type ordered struct{ *model.Message }

func (m ordered) place() shown { return shown{m.ID, m.ConversationID, m.ConversationSeq} }

// order reads a whole conversation from the table, which must be contiguous.
func (c *crowd) order(id model.ConversationID) (list []ordered) {
	c.t.Helper()
	conversation, err := c.nodes[0].store.ConversationByID(c.t.Context(), id)
	must(c.t, err)
	messages, err := c.nodes[0].store.History(c.t.Context(), id, 0, 0, conversation.Head, true, 1<<20)
	must(c.t, err)
	for i, m := range messages {
		if m.ConversationSeq != int64(i)+1 {
			c.t.Fatalf("conversation %d has %d at place %d", id, m.ConversationSeq, i+1)
		}
		list = append(list, ordered{m})
	}
	if int64(len(list)) != conversation.Head {
		c.t.Fatalf("conversation %d has %d messages, and its head is %d", id, len(list), conversation.Head)
	}
	return list
}

// replay works out from the group's order who belonged to it at each conversation_seq.
func (p *party) replay(want map[model.UserID]map[model.ConversationID][]shown) {
	c, t := p.crowd, p.crowd.t
	t.Helper()
	members := map[model.UserID]int64{} // who belongs, and after which seq
	all := c.order(p.id)
	for _, m := range all {
		var n notice
		if m.Type == model.TypeNotice {
			must(t, json.Unmarshal([]byte(m.Body), &n))
		}
		switch n.Event {
		case "group_created", "members_added":
			if n.Event == "group_created" {
				n.UserIDs = append(n.UserIDs, m.SenderID)
			}
			for _, user := range n.UserIDs {
				if _, here := members[user]; here {
					t.Errorf("%d of group %d adds %d, who belongs", m.ConversationSeq, p.id, user)
				}
				members[user] = m.ConversationSeq - 1
			}
			if p.log == 0 && len(members) > partyLimits[p.kind] {
				p.log = m.ConversationSeq
				if p.kind == outgrowingParty {
					c.outgrown++
				}
			}
			c.changes++
		case "member_left", "member_removed":
			for _, user := range n.UserIDs {
				if _, here := members[user]; !here {
					t.Errorf("%d of group %d takes %d out, who does not belong", m.ConversationSeq, p.id, user)
				}
				delete(members, user)
			}
			c.changes++
		default:
			if _, here := members[m.SenderID]; !here {
				t.Errorf("%d of group %d is of %d, who did not belong", m.ConversationSeq, p.id, m.SenderID)
			}
		}
		for user := range members {
			if p.may[user] == nil {
				p.may[user] = map[int64]bool{}
			}
			p.may[user][m.ConversationSeq] = true
			if p.log == 0 {
				want[user][p.id] = append(want[user][p.id], m.place())
			}
		}
	}
	c.messages += len(all)
	c.refused += p.refused
	p.checkAccepted(all)
	p.checkMembers(members, int64(len(all)))
}

// checkAccepted: what was answered is there, at its place, and what was refused is not.
func (p *party) checkAccepted(all []ordered) {
	t := p.crowd.t
	t.Helper()
	texts := 0
	for _, m := range all {
		if m.Type == model.TypeText {
			texts++
		}
	}
	equal(t, "texts that were accepted", len(p.accepted), texts)
	for _, m := range p.accepted {
		if at := all[m.ConversationSeq-1]; at.ID != m.ID || at.SenderID != m.SenderID || at.ConversationID != m.ConversationID {
			t.Errorf("%d was accepted at %d of group %d, where %d is", m.ID, m.ConversationSeq, p.id, at.ID)
		}
	}
}

// checkMembers: the tables say the same as the order, and nobody else's device is told anything more.
func (p *party) checkMembers(members map[model.UserID]int64, head int64) {
	c, t := p.crowd, p.crowd.t
	t.Helper()
	list, err := c.nodes[0].store.Members(t.Context(), p.id, 0, 1_000)
	must(t, err)
	table := map[model.UserID]int64{}
	for _, m := range list {
		table[m.UserID] = m.JoinedSeq
	}
	if !maps.Equal(table, members) {
		t.Errorf("members of group %d: got %v, want %v", p.id, table, members)
	}
	conversation, err := c.nodes[0].store.ConversationByID(t.Context(), p.id)
	must(t, err)
	equal(t, "member_count", conversation.MemberCount, int64(len(members)))
	equal(t, "log", conversation.Delivery == model.DeliveryLog, p.log != 0)
	for _, user := range c.users {
		joined, member := members[user]
		device := c.devices[user]
		_, from, _, err := device.node.conversations.History(t.Context(), user, p.id, nil, nil, 1)
		switch {
		case !member && model.CodeOf(err) != model.CodeNotFound:
			t.Errorf("history of group %d for %d, who is out: %d, %v", p.id, user, from, err)
		case member && err != nil:
			t.Errorf("history of group %d for %d: %v", p.id, user, err)
		}
		if !member || p.log == 0 {
			continue
		}
		// Everything since they are back and the group is a log gets to the device, with or without a pull.
		var missing int64
		eventually(t, "what a member is pushed", func() bool {
			device.seen.Lock()
			defer device.seen.Unlock()
			if device.err != nil {
				t.Fatalf("device of %d: %v", user, device.err)
			}
			for missing = max(joined+1, p.log); missing <= head; missing++ {
				if !device.log(p.id).seqs[missing] {
					return false
				}
			}
			return true
		})
	}
}

// checkMailbox compares what came into a mailbox with what each conversation's order says.
func (c *crowd) checkMailbox(user model.UserID, want map[model.ConversationID][]shown) {
	t := c.t
	t.Helper()
	entries, err := c.nodes[0].store.Mailbox(t.Context(), user, c.checked[user], 1<<20)
	must(t, err)
	for _, e := range entries {
		if c.checked[user]++; e.Seq != c.checked[user] {
			t.Fatalf("mailbox of %d: %d where %d should be", user, e.Seq, c.checked[user])
		}
		m := ordered{e.Message}.place()
		next := want[m.ConversationID]
		switch {
		case len(next) == 0:
			t.Errorf("mailbox of %d has %d of conversation %d, which is not theirs", user, m.Seq, m.ConversationID)
		case next[0] != m:
			t.Errorf("mailbox of %d has %d of conversation %d, want %d", user, m.Seq, m.ConversationID, next[0].Seq)
		}
		want[m.ConversationID] = next[min(1, len(next)):]
	}
	for id, missing := range want {
		if len(missing) > 0 {
			t.Errorf("mailbox of %d misses %d messages of conversation %d, from %d on", user, len(missing), id, missing[0].Seq)
		}
	}
	head, err := c.nodes[0].store.MailboxHead(t.Context(), user)
	must(t, err)
	equal(t, "mailbox head", head.Head, c.checked[user])
	device := c.devices[user]
	eventually(t, "all entries to be pushed", func() bool {
		device.seen.Lock()
		defer device.seen.Unlock()
		return device.err != nil || int64(len(device.mailbox)) >= head.Head
	})
	device.seen.Lock()
	defer device.seen.Unlock()
	for _, e := range entries {
		if int64(len(device.mailbox)) < e.Seq || device.mailbox[e.Seq-1] != (ordered{e.Message}).place() {
			t.Fatalf("the device of %d has not the entry %d", user, e.Seq)
		}
	}
	equal(t, "entries on the device", int64(len(device.mailbox)), head.Head)
}

// checkDevice: it was shown nothing of a log conversation that is not its owner's, and takes part in none that they are out of.
func (c *crowd) checkDevice(user model.UserID) {
	t, device := c.t, c.devices[user]
	t.Helper()
	must(t, device.ackAll(within(t)))
	device.seen.Lock()
	defer device.seen.Unlock()
	if device.err != nil {
		t.Fatalf("device of %d: %v", user, device.err)
	}
	device.mu.Lock()
	equal(t, "close code", device.code, 0)
	device.mu.Unlock()
	for _, p := range c.parties {
		log := device.logs[p.id]
		if log == nil {
			continue
		}
		for s := range log.seqs {
			if !p.may[user][s] {
				t.Errorf("the device of %d was shown %d of group %d, and they did not belong", user, s, p.id)
			}
		}
		c.pulls += log.pulls
	}
	device.logs = map[model.ConversationID]*shownLog{}
}
