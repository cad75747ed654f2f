import { useClient } from './client';
import type { Member } from './groupmembers';
import { DotsIcon } from './icons';
import { useText } from './language';
import { MenuButton, type MenuLine } from './MenuButton';
import { useName } from './people';
import { answered } from './problem';

interface Props {
  readonly groupID: string;
  readonly member: Member;
  /** My role: above the member's. */
  readonly mine: Member['role'];
  readonly change: (call: () => Promise<unknown>) => Promise<void>;
}

/** What I can do with another member. */
export function MemberMenu({ groupID, member, mine, change }: Props) {
  const client = useClient();
  const text = useText();
  const name = useName(member.user_id);
  const path = { group_id: groupID, user_id: member.user_id };
  const make = (role: Member['role']) => void change(() => answered(client.rest.PUT('/v1/groups/{group_id}/members/{user_id}/role', { params: { path }, body: { role } })));
  const remove = () => void change(() => answered(client.rest.DELETE('/v1/groups/{group_id}/members/{user_id}', { params: { path } })));
  function lines(): MenuLine[] {
    const removes: MenuLine = { label: text.remove, danger: true, onSelect: remove };
    if (mine !== 'owner') return [removes];
    const other = member.role === 'admin' ? 'member' : 'admin';
    return [{ label: other === 'admin' ? text.makeAdmin : text.makeMember, onSelect: () => make(other) }, { label: text.handOver, onSelect: () => make('owner') }, removes];
  }
  return <MenuButton label={text.memberActions(name)} icon={<DotsIcon />} lines={lines} />;
}
