import type { Message, User } from '@ackbox/client';
import { useMemo } from 'react';
import { type Text, useText } from './language';
import { useNames } from './people';

/** Names in a notice; of more there is only a number. */
const mostNames = 3;

/** What has happened to a group, in words. */
export function NoticeText({ me, message }: { me: User; message: Message }) {
  const text = useText();
  const users = useMemo(() => [message.sender_id, ...userIDs(message.body).slice(0, mostNames)], [message]);
  const known = useNames(users);
  const name = (id: string) => (id === me.user_id ? text.you : known(id));
  const rest = userIDs(message.body).length - mostNames;
  const whom = users.slice(1).map(name).join(', ') + (rest > 0 ? ` +${rest}` : '');
  return words(text, message.body, name(message.sender_id), whom);
}

function userIDs(body: Message['body']): string[] {
  const ids = body['user_ids'];
  return Array.isArray(ids) ? ids.filter((id) => typeof id === 'string') : [];
}

function words(text: Text, body: Message['body'], who: string, whom: string): string {
  const { event, name, role } = body;
  switch (event) {
    case 'group_created':
      return text.notices.created(who, typeof name === 'string' ? name : '');
    case 'group_updated':
      return text.notices.updated(who);
    case 'group_dissolved':
      return text.notices.dissolved(who);
    case 'members_added':
      return text.notices.added(who, whom);
    case 'member_removed':
      return text.notices.removed(who, whom);
    case 'member_left':
      return text.notices.left(who);
    case 'role_changed':
      return text.notices.role(who, whom, role === 'owner' || role === 'admin' ? text.roles[role] : text.roles.member);
    case 'member_muted':
      return text.notices.muted(who, whom);
    case 'member_unmuted':
      return text.notices.unmuted(who, whom);
    default:
      return text.notices.other(who);
  }
}
