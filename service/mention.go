package service

import (
	"fmt"
	"slices"

	"ackbox/model"
)

// checkMentions wants 1 to MaxMentions distinct users, or everybody alone.
func checkMentions(mentions model.Mentions) error {
	if mentions == nil || mentions.Everybody() {
		return nil
	}
	if n := len(mentions); n == 0 || n > model.MaxMentions {
		return model.Invalid("body.mentions", fmt.Sprintf(`want "all" or 1 to %d users`, model.MaxMentions), nil)
	}
	for i, user := range mentions {
		if user <= model.Everybody {
			return model.Invalid(mentionAt(i), "want the id of a user", user)
		}
		if slices.Contains(mentions[:i], user) {
			return model.Invalid(mentionAt(i), "is named twice", user)
		}
	}
	return nil
}

// mayMention is nil, or why an audience is not called so: only a group's members are.
func mayMention(audience *model.Audience, mentions model.Mentions) error {
	if mentions == nil {
		return nil
	}
	if audience.Kind != model.Group {
		return model.Invalid("body.mentions", "one mentions people in groups only", nil)
	}
	if mentions.Everybody() {
		return nil
	}
	for i, user := range mentions {
		if _, member := slices.BinarySearch(audience.Members, user); !member {
			return model.Invalid(mentionAt(i), "is no member of the group", user)
		}
	}
	return nil
}

func mentionAt(i int) string { return fmt.Sprintf("body.mentions[%d]", i) }
