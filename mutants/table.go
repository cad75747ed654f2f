package main

// mutant is Ackbox with one rule broken.
type mutant struct {
	name   string
	rule   string // that it breaks
	edits  []edit
	suites []suite // each must turn red
}

// edit replaces a text that stands exactly once in a file.
type edit struct{ file, old, new string }

var mutants = []mutant{
	{
		name: "early-sequence", rule: "a sequence is taken in the transaction that uses it",
		edits: []edit{
			{"service/writer.go", "	heads, mailboxes, err := tx.TakePlaces(ctx, keys, conversations, users, now)\n", `	var heads map[model.ConversationID]model.ConversationHead
	var mailboxes map[model.UserID]int64
	err := w.store.Tx(ctx, func(own *model.Store) (err error) {
		heads, mailboxes, err = own.TakePlaces(ctx, nil, conversations, users, now)
		return err
	})
	if _, _, err := tx.TakePlaces(ctx, keys, nil, nil, now); err != nil {
		return err
	}
`},
			{"service/writer.go", "	heads, err := tx.AdvanceConversations(ctx, conversations, now)\n", `	var heads map[model.ConversationID]model.ConversationHead
	err := w.store.Tx(ctx, func(own *model.Store) (err error) {
		heads, err = own.AdvanceConversations(ctx, conversations, now)
		return err
	})
`},
			{"service/writer.go", "	mailboxes, err := tx.AdvanceMailboxes(ctx, users)\n", `	var mailboxes map[model.UserID]int64
	err = w.store.Tx(ctx, func(own *model.Store) (err error) {
		mailboxes, err = own.AdvanceMailboxes(ctx, users)
		return err
	})
`},
		},
		suites: []suite{test("./service", "TestRacingWriters/MySQL"), test("./service", "TestUnknownCommit"), chaos("cut-commit", 6)},
	},
	{
		name: "early-push", rule: "nothing is pushed before its commit",
		edits: []edit{{"service/writer.go", "	return tx.InsertMessages(ctx, messages, entries)\n}\n", `	if err := tx.InsertMessages(ctx, messages, entries); err != nil {
		return err
	}
	early := make([]Committed, len(fresh))
	for i, s := range fresh {
		early[i] = Committed{Message: s.msg, JSON: s.msg.AppendJSON(nil), Entries: s.entries, Audience: s.audience}
	}
	w.committed(early)
	return nil
}
`}},
		suites: []suite{test("./service", "TestPushAfterCommit"), chaos("cut-commit", 6)},
	},
	{
		name: "early-ack", rule: "a page is acked by the next pull, not by its own",
		edits: []edit{{"service/mailbox.go", "		m.acker.delivery.tellPulled(key, page.Entries)\n	}\n", `		m.acker.delivery.tellPulled(key, page.Entries)
	}
	if err != nil || len(page.Entries) == 0 {
		return page, err
	}
	last := page.Entries[len(page.Entries)-1].Seq
	_, err = m.acker.Ack(ctx, Ack{Key: key, UpTo: &last})
`}},
		suites: []suite{test("./e2e", "TestEmbedded/shared/mailbox_sync_acks_the_page_before"), test("./verify", "TestVerifyBadNetwork")},
	},
	{
		// Not by the checker: a device with a wrong position steps back at the next push too, whose id is not the one that it
		// has there, and 12 kill-mariadb-unsafe took nothing back that anybody had read and whose seq came to be used again.
		name: "no-after-id", rule: "a position is checked by the id found there",
		edits:  []edit{{"service/ack.go", "case id != 0 && found != 0 && found != id:", "case id != 0 && found != 0 && found != id && seq < 0:"}},
		suites: []suite{test("./e2e", "TestEmbedded/shared/(mailbox_position_lost|socket_last_id_mismatch)"), chaos("lost-tail", 10)},
	},
	{
		name: "window-answers", rule: "a hit in the window is never an answer",
		edits: []edit{{"service/message.go", "	if !won {\n", `	if !won {
		return Sent{Message: msg, JSON: msg.AppendJSON(nil), Duplicate: true}, nil
	}
	if !won {
`}},
		suites: []suite{test("./e2e", "TestEmbedded/shared/racing_sends_with_one_key"), test("./service", "TestWindowIsNoAnswer"), test("./verify", "TestVerifyBadNetwork")},
	},
	{
		// Not by the checker: it holds a receipt against what the device has asked for, and a device whose ack failed acks
		// again, so what was told too early is true in the end.
		name: "early-receipt", rule: "a receipt is told after the ack's commit",
		edits: []edit{{"service/ack.go", "		receipts, err = raiseDelivered(ctx, tx, delivered)\n		return err\n", `		if receipts, err = raiseDelivered(ctx, tx, delivered); err == nil {
			a.notify(receipts)
		}
		return err
`}},
		suites: []suite{test("./service", "TestReceiptAfterCommit")},
	},
	{
		// The three that are unsorted: not by what clients see. The database breaks a deadlock and the transaction runs again,
		// so from outside it is only slower; the fault deadlock asks the database how many it broke.
		name: "unsorted-locks", rule: "rows are locked in one order",
		edits: []edit{
			{"service/writer.go", "	slices.SortFunc(list, func(a, b model.UserCount) int { return cmp.Compare(a.UserID, b.UserID) })\n", "\n"},
			{"service/writer.go", "	slices.SortFunc(list, func(a, b model.ConversationCount) int { return cmp.Compare(a.ID, b.ID) })\n", "\n"},
		},
		suites: []suite{test("./service", "TestNoDeadlock/heads"), chaos("deadlock", 2)},
	},
	{
		name: "unsorted-keys", rule: "send keys are claimed in one order",
		edits: []edit{{"service/writer.go", `	slices.SortFunc(keys, func(a, b model.SendKey) int {
		return cmp.Or(cmp.Compare(a.SenderID, b.SenderID), cmp.Compare(a.ClientMsgID, b.ClientMsgID))
	})
`, "\n"}},
		suites: []suite{test("./service", "TestNoDeadlock/keys")},
	},
	{
		name: "unsorted-acks", rule: "devices and watermarks are written in one order",
		edits: []edit{
			{"service/ack.go", "	\"math\"\n", "	\"math\"\n	\"math/rand/v2\"\n"},
			{"service/ack.go", "	keys = slices.Compact(keys)\n	slices.Sort(users)\n", "	keys = slices.Compact(keys)\n	rand.Shuffle(len(keys), func(i, j int) { keys[i], keys[j] = keys[j], keys[i] })\n	slices.Sort(users)\n"},
			{"service/ack.go", "	var risen []receipt\n", "	rand.Shuffle(len(keys), func(i, j int) { keys[i], keys[j] = keys[j], keys[i] })\n	var risen []receipt\n"},
		},
		suites: []suite{test("./service", "TestNoDeadlock/acks")},
	},
	{
		// Not by the checker: what is not pushed again is pulled at the gap before the next push, at a ping or at a connect, so
		// it is only late, and by less than the limit that a busy machine needs.
		name: "no-redelivery", rule: "what is not acked is pushed again, and the sweep finds what was missed",
		edits: []edit{
			{"service/sweep.go", "	now := d.clock()\n	for ctx.Err() == nil {\n", "	now := d.clock()\n	for ctx.Err() == nil && now.IsZero() {\n"},
		},
		suites: []suite{test("./e2e", "TestEmbedded/shared/a_lost_push_or_ack")},
	},
	{
		name: "early-answer", rule: "201 comes after the commit",
		edits: []edit{{"service/message.go", "	committed, duplicate, err = m.writer.Write(ctx, msg, hash, audience)\n", `	go func() {
		if _, _, err := m.writer.Write(context.WithoutCancel(ctx), msg, hash, audience); err != nil {
			metrics.sendErrors.Inc()
		}
	}()
	copied := *msg
	copied.CreatedAt = model.MillisOf(m.clock())
	committed = Committed{Message: &copied, JSON: copied.AppendJSON(nil)}
`}},
		suites: []suite{test("./e2e", "TestMariaDB/shared/six_packets"), chaos("kill-node", 2)},
	},
}
