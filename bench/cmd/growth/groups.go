package main

import (
	"context"
	"errors"
	"fmt"

	"ackbox/bench"
)

// groups measures messages into groups of more and more members: those that are copied into mailboxes, then those of a log.
func (g *growth) groups(ctx context.Context, dir string, out *dimension) (err error) {
	out.What = "members of a group, all online"
	d, err := g.deploy(ctx, dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.close()) }()
	largest := g.LogMembers[len(g.LogMembers)-1]
	if err := d.fill(ctx, max(g.Base, fullBlocks(g.Clients+largest))); err != nil {
		return err
	}
	if err := d.serve(ctx, 1); err != nil {
		return err
	}
	o := d.options()
	clients, err := spread(d.people.size(), g.Clients, nil)
	if err != nil {
		return err
	}
	users, err := d.join(ctx, o, clients, 0, 0)
	if err != nil {
		return err
	}
	for _, members := range g.Members {
		s := newStep(members, digits(float64(members)))
		out.Steps = append(out.Steps, s)
		o.GroupSize, o.Accounts = members, bench.NewAccounts(users, nil)
		if err := d.measure(ctx, s, o, "group"); err != nil {
			return err
		}
		s.perPush("group", s.Figures["group/pushes_per_s"]/s.Figures["group/messages_per_s"])
	}
	but := map[int]bool{}
	for _, n := range clients {
		but[n] = true
	}
	others, err := spread(d.people.size(), largest, but)
	if err != nil {
		return err
	}
	crowd, err := d.join(ctx, o, others, 0, 0)
	if err != nil {
		return err
	}
	o.Accounts = nil
	for _, members := range g.LogMembers {
		s := newStep(members, fmt.Sprintf("%s (log)", digits(float64(members))))
		out.Steps = append(out.Steps, s)
		o.LogMembers, o.Accounts = members, bench.NewAccounts(nil, crowd)
		if err := d.measure(ctx, s, o, "log"); err != nil {
			return err
		}
		s.Figures["log/messages_per_s"] = s.Figures["log/pushes_per_s"] / float64(members)
	}
	return nil
}

// perPush gives the CPU figures of a scenario, which count messages, for each push too.
func (s *step) perPush(scenario string, pushes float64) {
	if pushes <= 0 {
		return
	}
	for _, name := range []string{"server", "mariadb", "redis", "client"} {
		if v, ok := s.Figures[scenario+"/"+name+"_cpu_us_a_message"]; ok {
			s.Figures[scenario+"/"+name+"_cpu_us_a_push"] = v / pushes
		}
	}
}
