package main

import (
	"testing"
	"time"
)

func at(t *testing.T, users int) *population {
	t.Helper()
	e, err := newEra(time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC))
	if err != nil {
		t.Fatal(err)
	}
	p := &population{era: e}
	missing, err := p.grow(users)
	if err != nil {
		t.Fatal(err)
	}
	p.blocks = append(p.blocks, missing...)
	return p
}

// Everybody has four conversations, no pair has two, and all ids of a kind are different, positive, and before the era's end.
func TestRing(t *testing.T) {
	for _, users := range []int{minUsers, 9, 100, 10_000, 20_008} {
		p := at(t, users)
		if p.size() != users {
			t.Fatalf("%d users became %d", users, p.size())
		}
		end := (p.era.end.UnixMilli() - idEpoch) * idStep
		pairs, degree, seen := map[[2]int]bool{}, map[int]int{}, map[int64]bool{}
		id := func(kind string, v int64) {
			if seen[v] || v <= 0 || v >= end {
				t.Fatalf("%d users: %s %d is there twice, or not before %d", users, kind, v, end)
			}
			seen[v] = true
		}
		for _, b := range p.blocks {
			for u := range b.users {
				id("user", b.people.id(u))
			}
			for c := range b.conversations() {
				id("conversation", b.talks.id(c))
				owner, peer := b.pair(c)
				pair := [2]int{b.first + min(owner, peer), b.first + max(owner, peer)}
				if pairs[pair] || owner == peer {
					t.Fatalf("%d users: the pair %v has two conversations", users, pair)
				}
				pairs[pair] = true
				degree[b.first+owner]++
				degree[b.first+peer]++
			}
			for m := range b.users * userMessages {
				id("message", b.posts.id(m))
			}
		}
		for n := range users {
			if degree[n] != 4 {
				t.Fatalf("%d users: %d has %d conversations", users, n, degree[n])
			}
			_, known := p.person(n)
			for _, k := range known {
				if !pairs[[2]int{min(n, k), max(n, k)}] {
					t.Fatalf("%d users: person says that %d knows %d", users, n, k)
				}
			}
		}
	}
}

func TestGrow(t *testing.T) {
	p := at(t, 10_000)
	more, err := p.grow(25_000)
	if err != nil || len(more) != 2 || more[0].first != 10_000 || more[0].users != 10_000 || more[1].users != 5_000 {
		t.Errorf("from 10,000 to 25,000: got %+v (%v)", more, err)
	}
	if more, err := p.grow(10_000); err != nil || len(more) != 0 {
		t.Errorf("to what is there: got %+v (%v)", more, err)
	}
	if _, err := at(t, 15_000).grow(20_000); err == nil {
		t.Error("a block that is not full was followed by another")
	}
	if _, err := p.grow(10_003); err == nil {
		t.Error("a ring of three was made")
	}
	if _, err := newEra(time.Date(2026, 1, 1, 2, 0, 0, 0, time.UTC)); err == nil {
		t.Error("an era of an hour has room for nobody")
	}
}

func TestSpread(t *testing.T) {
	chosen, err := spread(1000, 10, map[int]bool{50: true})
	if err != nil {
		t.Fatal(err)
	}
	seen := map[int]bool{50: true}
	for i, n := range chosen {
		if seen[n] || n < i*100 || n >= (i+1)*100 {
			t.Errorf("got %v", chosen)
		}
		seen[n] = true
	}
	if _, err := spread(10, 10, map[int]bool{1: true}); err == nil {
		t.Error("ten of nine were chosen")
	}
}

// Contacts are new pairs, the chosen have as many as wanted, and their ids are spread over those of all conversations.
func TestContacts(t *testing.T) {
	p := at(t, 20_000)
	seen, pairs := map[int64]bool{}, map[[2]int]bool{}
	for turn := range 3 {
		chosen, err := spread(20_000, 64, nil)
		if err != nil {
			t.Fatal(err)
		}
		list, err := p.contacts(chosen, 50, turn)
		if err != nil {
			t.Fatal(err)
		}
		busy, each := map[int]bool{}, map[int]int{}
		for _, n := range chosen {
			busy[n] = true
		}
		tenths := map[int64]int{}
		first, last := p.talk(0), p.talk(2*20_000-1)
		for _, c := range list {
			pair := [2]int{min(c.who, c.with), max(c.who, c.with)}
			_, known := p.person(c.who)
			if seen[c.id] || pairs[pair] || c.who == c.with || c.id&(1<<idCounterBits-1) < contactIDs {
				t.Fatalf("turn %d: %+v is there already", turn, c)
			}
			for _, k := range known {
				if k == c.with {
					t.Fatalf("turn %d: %+v knew each other", turn, c)
				}
			}
			seen[c.id], pairs[pair] = true, true
			if !busy[c.with] {
				each[c.who]++
			}
			tenths[10*(c.id-first)/(last-first+idStep)]++
		}
		for _, n := range chosen {
			if each[n] != 50 {
				t.Errorf("turn %d: %d has %d contacts", turn, n, each[n])
			}
		}
		// The conversations lie in two short stretches of time, one a block: at the beginning and in the last tenths.
		if tenths[0] < len(list)/3 || tenths[9] < len(list)/3 {
			t.Errorf("turn %d: %d conversations lie in tenths %v", turn, len(list), tenths)
		}
	}
	if _, err := at(t, 20).contacts([]int{1, 2}, 50, 0); err == nil {
		t.Error("50 contacts among 20 people")
	}
	if _, err := p.contacts([]int{1}, 1, maxTurns); err == nil {
		t.Error("the ids of one turn more would meet others")
	}
}
