package main

import (
	"context"
	"errors"
	"fmt"

	"ackbox/bench"
)

// mailboxes measures sends among people who are spread over more and more who are stored. Each step begins with a process of
// its own and with senders who were not online before.
func (g *growth) mailboxes(ctx context.Context, dir string, out *dimension) (err error) {
	out.What = "users stored (10 messages and 20 mailbox entries each)"
	out.Setup["Load"] = fmt.Sprintf("every second message goes to a user who is online, the others to %d conversations of each sender with people who are not", g.Contacts)
	d, err := g.deploy(ctx, dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.close()) }()
	for _, size := range g.Sizes {
		s := newStep(size, digits(float64(size)))
		out.Steps = append(out.Steps, s)
		if err := d.fill(ctx, size); err != nil {
			return err
		}
		if err := d.weigh(ctx, s); err != nil {
			return err
		}
		if g.FillOnly {
			g.note(fmt.Sprintf("%s users: %s MB, %s bytes a message, %s bytes a user beside that", s.Label,
				digits(s.Figures["store/bytes_mb"]), digits(s.Figures["store/message_bytes"]), digits(s.Figures["store/user_bytes"])))
			continue
		}
		if err := d.serve(ctx, 1); err != nil {
			return err
		}
		chosen, err := spread(size, g.Clients, nil)
		if err != nil {
			return err
		}
		o := d.options()
		users, err := d.join(ctx, o, chosen, 0, g.Contacts)
		if err != nil {
			return err
		}
		o.Accounts = bench.NewAccounts(users, nil)
		if err := d.measure(ctx, s, o, "send", "rate"); err != nil {
			return err
		}
	}
	return nil
}

// weigh puts what the tables weigh into the step, before anything was sent in it.
func (d *deployment) weigh(ctx context.Context, s *step) error {
	weights, err := d.weights(ctx)
	if err != nil {
		return err
	}
	var all, perMessage float64
	for _, name := range tables {
		all += weights[name]
		s.Figures["store/"+name+"_mb"] = weights[name] / (1 << 20)
	}
	for _, name := range []string{"messages", "send_keys", "mailboxes"} {
		perMessage += weights[name]
	}
	people := float64(d.people.size())
	s.Figures["store/messages"] = people * userMessages
	s.Figures["store/bytes_mb"] = all / (1 << 20)
	s.Figures["store/pool_mb"] = float64(d.growth.BufferPool)
	s.Figures["store/message_bytes"] = perMessage / (people*userMessages + d.sent)
	s.Figures["store/user_bytes"] = (all - perMessage) / people
	return nil
}
