package main

import (
	"errors"
	"fmt"
	"time"
)

// The layout of ids: milliseconds since 2026, 10 bits of node, 12 of a counter. Those made here have the highest node and lie
// before the server's, which so come after them in every index, as a later user's do.
const (
	idNodeBits    = 10
	idCounterBits = 12
	idStep        = 1 << (idNodeBits + idCounterBits) // of a millisecond
	idNode        = 1<<idNodeBits - 1
)

var idEpoch = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC).UnixMilli()

// What an id names is its counter, so that no two kinds meet.
const (
	userIDs = iota
	conversationIDs
	messageIDs
	familyIDs
	contactIDs
)

const (
	// blockUsers is how many people are made at a time. Each writes to people of their own block only.
	blockUsers = 10_000
	minUsers   = 8 // below that the ring of people doesn't close
	maxUsers   = 10_000_000
	// rounds is how many messages there are in each conversation. There are two conversations a user, so that is 10 messages,
	// and a user is in four of them, so that is 20 entries in each mailbox.
	rounds           = 5
	userDirects      = 2
	userMessages     = userDirects * rounds
	userEntries      = 2 * userMessages
	blocks           = maxUsers / blockUsers
	serverIDsReserve = time.Hour // how long before now the last id lies; the server reserves some ahead of its clock
)

// era is the time in which all people were made: the same for all blocks of one fill.
type era struct {
	end time.Time
}

// newEra ends an hour before now.
func newEra(now time.Time) (era, error) {
	e := era{end: now.Add(-serverIDsReserve)}
	if e.width() < 4*rounds*userDirects*blockUsers {
		return era{}, fmt.Errorf("the clock says %s: ids begin with 2026, and there is too little time between for %d people", now.Format(time.DateOnly), maxUsers)
	}
	return e, nil
}

// width is the milliseconds of one block.
func (e era) width() int64 { return (e.end.UnixMilli() - idEpoch) / blocks }

// line is ids on a straight line: at + n*step for the n-th.
type line struct{ at, step int64 }

func (l line) id(n int) int64 { return l.at + int64(n)*l.step }

// newLine spreads count ids of a kind over the milliseconds from … to since idEpoch.
func newLine(from, to int64, count int, counter int64) line {
	return line{at: from*idStep | idNode<<idCounterBits | counter, step: max(1, (to-from)/int64(count)) * idStep}
}

// block is people who came at about one time, in a ring: the conversation 2u is the one of u with u+1, and 2u+1 that with
// u+stride. First they came, then the conversations, and then the rounds of messages, conversation after conversation.
//
// In each round a mailbox gets the messages of its four conversations in this order: of the one that u-stride began, of that
// with u-1, of its own two.
type block struct {
	first  int // the number of its first person among all
	users  int // minUsers to blockUsers
	people line
	talks  line
	posts  line
}

// newBlock is the n-th block, with so many users.
func newBlock(e era, n, users int) (block, error) {
	if users < minUsers || users > blockUsers || n < 0 || n >= blocks {
		return block{}, fmt.Errorf("block %d of %d users: want %d to %d users in less than %d blocks", n, users, minUsers, blockUsers, blocks)
	}
	width := e.width()
	from := int64(n) * width
	return block{
		first: n * blockUsers, users: users,
		people: newLine(from, from+width/10, users, userIDs),
		talks:  newLine(from+width/10, from+width/5, users*userDirects, conversationIDs),
		posts:  newLine(from+width/5, from+width*9/10, users*userMessages, messageIDs),
	}, nil
}

// stride is how far around the ring a user's second conversation reaches.
func (b block) stride() int { return b.users / 3 }

func (b block) conversations() int { return b.users * userDirects }

// pair is who is in a conversation, as numbers in the block; the first began it.
func (b block) pair(conversation int) (owner, peer int) {
	owner = conversation / userDirects
	reach := 1
	if conversation%userDirects == 1 {
		reach = b.stride()
	}
	return owner, (owner + reach) % b.users
}

// fullBlocks is so many users or more, in full blocks.
func fullBlocks(users int) int { return (users + blockUsers - 1) / blockUsers * blockUsers }

// population is all people so far: full blocks, and the last one, which may be smaller.
type population struct {
	era    era
	blocks []block

	met    map[[2]int]bool // who have become contacts since, the lower number first
	placed map[int64]bool  // their conversations
}

func (p *population) size() int {
	if len(p.blocks) == 0 {
		return 0
	}
	last := p.blocks[len(p.blocks)-1]
	return last.first + last.users
}

// grow gives the blocks that are missing to so many users.
func (p *population) grow(users int) ([]block, error) {
	have := p.size()
	if have%blockUsers != 0 && users > have {
		return nil, errors.New("only the last size may be less than a multiple of " + fmt.Sprint(blockUsers))
	}
	var missing []block
	for n := len(p.blocks); n*blockUsers < users; n++ {
		b, err := newBlock(p.era, n, min(blockUsers, users-n*blockUsers))
		if err != nil {
			return nil, err
		}
		missing = append(missing, b)
	}
	return missing, nil
}

// person is the id of the n-th of all, and the numbers of the four whom they have a conversation with.
func (p *population) person(n int) (id int64, known [4]int) {
	b := p.blocks[n/blockUsers]
	u := n - b.first
	_, right := b.pair(userDirects * u)
	_, far := b.pair(userDirects*u + 1)
	return b.people.id(u), [4]int{b.first + right, b.first + far, b.first + (u+b.users-1)%b.users, b.first + (u+b.users-b.stride())%b.users}
}

// talk is the id of the n-th conversation of all.
func (p *population) talk(n int) int64 {
	b := p.blocks[n/(userDirects*blockUsers)]
	return b.talks.id(n - userDirects*b.first)
}
