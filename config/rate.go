package config

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Rate allows N at once, and after that N in Per, evenly.
type Rate struct {
	N   int
	Per time.Duration
}

// Bounds of a rate.
const (
	maxRate    = 1_000_000
	minRatePer = time.Millisecond
	maxRatePer = 24 * time.Hour
)

// ParseRates reads "3/5s,5/30s": at most 3 in 5 seconds and at most 5 in 30. "off" is no
// rate at all.
func ParseRates(text string) ([]Rate, error) {
	if text == "off" {
		return nil, nil
	}
	var rates []Rate
	for part := range strings.SplitSeq(text, ",") {
		number, length, found := strings.Cut(strings.TrimSpace(part), "/")
		n, err := strconv.Atoi(number)
		per, perErr := time.ParseDuration(length)
		if !found || err != nil || perErr != nil {
			return nil, fmt.Errorf("%q is not of the form 3/5s,5/30s, or off", text)
		}
		if n < 1 || n > maxRate || per < minRatePer || per > maxRatePer {
			return nil, fmt.Errorf("%q: want 1 to %d in 1ms to 24h", part, maxRate)
		}
		if slices.ContainsFunc(rates, func(r Rate) bool { return r.Per == per }) {
			return nil, fmt.Errorf("%q has two numbers for %s", text, per) // they would be counted as one
		}
		rates = append(rates, Rate{n, per})
	}
	return rates, nil
}

// Limits are the settings of the rate limits by the names that a 429 gives them.
func (c *Config) Limits() map[string]string {
	return map[string]string{
		"request": c.LimitRequest, "send": c.LimitSend, "send_address": c.LimitSendAddress, "send_conversation": c.LimitSendConversation,
		"group": c.LimitGroup, "ticket": c.LimitTicket, "search": c.LimitSearch, "typing": c.LimitTyping, "file": c.LimitFile, "trace": c.LimitTrace,
		"login": c.LimitLogin, "login_address": c.LimitLoginAddress, "register": c.LimitRegister, "register_address": c.LimitRegisterAddress,
		"refresh_address": c.LimitRefreshAddress,
	}
}
