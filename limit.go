package main

import (
	"fmt"

	"ackbox/config"
	"ackbox/service"

	"github.com/redis/go-redis/v9"
)

// newLimits makes the rate limits of the configuration; nil when they are off. An embedded
// Redis has nobody to share them with.
func newLimits(c *config.Config, client redis.UniversalClient, installation string) (*service.Limits, error) {
	if c.RateLimit == "off" {
		return nil, nil //nolint:nilnil // no limits are a way to be
	}
	rates := map[service.Limit][]service.Rate{}
	for name, text := range c.Limits() {
		list, err := config.ParseRates(text)
		if err != nil {
			return nil, fmt.Errorf("limit %s: %w", name, err)
		}
		for _, r := range list {
			rates[service.Limit(name)] = append(rates[service.Limit(name)], service.Rate(r))
		}
	}
	if len(c.RedisURL) == 0 {
		client = nil
	}
	limits, err := service.NewLimits(service.LimitOptions{Rates: rates, Redis: client, Installation: installation})
	if err != nil {
		return nil, fmt.Errorf("rate limits: %w", err)
	}
	return limits, nil
}
