import type { Conversation } from '@ackbox/client';
import { useClient } from './client';
import { useQuestion } from './Confirm';
import type { Member } from './groupmembers';
import { DotsIcon } from './icons';
import { useText } from './language';
import { MenuButton, type MenuLine } from './MenuButton';
import { useName } from './people';
import { answered } from './problem';
import { open } from './route';

/** How long a member can be muted, in seconds. */
const mutes = [600, 3_600, 86_400, 2_592_000] as const;

interface Props {
  readonly groupID: string;
  readonly member: Member;
  /** My role: above the member's. */
  readonly mine: Conversation['role'];
  readonly change: (call: () => Promise<unknown>) => Promise<boolean>;
}

/** What I can do with another member. */
export function MemberMenu({ groupID, member, mine, change }: Props) {
  const client = useClient();
  const text = useText();
  const name = useName(member.user_id);
  const { ask, asked } = useQuestion();
  const path = { group_id: groupID, user_id: member.user_id };
  const make = (role: Member['role']) => void change(() => answered(client.rest.PUT('/v1/groups/{group_id}/members/{user_id}/role', { params: { path }, body: { role } })));
  const mute = (seconds: number) => void change(() => answered(client.rest.PUT('/v1/groups/{group_id}/members/{user_id}/mute', { params: { path }, body: { seconds } })));
  const remove = () => void change(() => answered(client.rest.DELETE('/v1/groups/{group_id}/members/{user_id}', { params: { path } })));

  function lines(): (MenuLine | null)[] {
    const other = member.role === 'admin' ? 'member' : 'admin';
    const offered: (MenuLine | null)[] = [{ label: text.writeTo, onSelect: () => open({ to: member.user_id }) }, null];
    if (mine === 'owner') {
      offered.push({ label: other === 'admin' ? text.makeAdmin : text.makeMember, onSelect: () => make(other) });
      offered.push({ label: text.handOver, onSelect: () => ask({ title: text.handOver, words: text.handOverSure(name), onYes: () => make('owner') }) }, null);
    }
    for (const seconds of mutes) offered.push({ label: text.muteFor[seconds], onSelect: () => mute(seconds) });
    offered.push({ label: text.endMute, onSelect: () => mute(0) }, null);
    return [...offered, { label: text.remove, danger: true, onSelect: () => ask({ title: text.remove, words: text.removeSure(name), onYes: remove }) }];
  }
  return (
    <>
      <MenuButton label={text.memberActions(name)} icon={<DotsIcon />} lines={lines} />
      {asked}
    </>
  );
}
