package service

import (
	"context"
	"fmt"
	"strconv"

	"github.com/redis/go-redis/v9"
)

// AskRedis says why Redis does not serve, nil: it does. A cluster serves when it answers in slots all over it: each of its
// nodes would answer a ping by itself, also while none may serve.
func AskRedis(ctx context.Context, client redis.UniversalClient) error {
	var err error
	if _, cluster := client.(*redis.ClusterClient); cluster {
		pipe := client.Pipeline()
		for slot := range relayParts {
			pipe.Exists(ctx, "ackbox:{"+strconv.Itoa(slot)+"}:nothing")
		}
		_, err = pipe.Exec(ctx)
	} else {
		err = client.Ping(ctx).Err()
	}
	if err != nil {
		return fmt.Errorf("ask Redis: %w", err)
	}
	return nil
}
