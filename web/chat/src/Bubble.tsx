import type { Message, MessageItem, User } from '@ackbox/client';
import { Attachment } from './Attachment';
import { Linkified } from './Linkified';
import { useLanguage } from './language';
import { clockTime, fullTime } from './moment';
import { useName } from './people';
import { Quoted } from './Quoted';
import type { Row } from './rows';
import { Ticks } from './Ticks';

interface Props {
  readonly me: User;
  readonly row: Row;
  readonly group: boolean;
  readonly onJump: (seq: number) => Promise<void>;
  readonly onInfo: (message: Message) => void;
}

/** A message's sender, quote, content, time and ticks. */
export function Bubble({ me, row, group, onJump, onInfo }: Props) {
  const { language } = useLanguage();
  const { item } = row;
  const sender = useName(item.mine ? null : item.message?.sender_id);
  const calls = item.message?.mentions;
  const forMe = calls === 'all' || (calls?.includes(me.user_id) ?? false);
  return (
    <div className={forMe && !item.mine ? 'bubble bubble-called' : 'bubble'}>
      {group && !item.mine && row.first ? <div className="sender">{sender}</div> : null}
      {item.message?.quote ? <Quoted me={me} quote={item.message.quote} onJump={onJump} /> : null}
      <Content item={item} />
      <span className="meta">
        <time dateTime={new Date(row.at).toISOString()} title={fullTime(language, row.at)}>
          {clockTime(language, row.at)}
        </time>
        {item.state && !item.message?.recalled_at ? <Ticks item={item} group={group} onInfo={onInfo} /> : null}
      </span>
    </div>
  );
}

function Content({ item }: { item: MessageItem }) {
  const { text } = useLanguage();
  const { message, pending } = item;
  if (message?.recalled_at) return <i className="dim">{item.mine ? text.youRecalled : text.recalled}</i>;
  const type = message?.type ?? pending?.draft.type ?? 'text';
  const body = message?.body ?? pending?.draft.body ?? {};
  if (type === 'text') return <Linkified text={typeof body['text'] === 'string' ? body['text'] : ''} />;
  if (type === 'image' || type === 'file' || type === 'audio' || type === 'video') return <Attachment type={type} body={body} />;
  return <i>[{text.types[type]}]</i>;
}
