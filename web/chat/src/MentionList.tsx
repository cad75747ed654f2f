import { useText } from './language';
import type { Called } from './mentions';

/** Who can be called, above the field; arrow keys and Enter choose. */
export function MentionList({ offered, current, onChoose }: { offered: readonly Called[]; current: number; onChoose: (called: Called) => void }) {
  const text = useText();
  return (
    <ul className="mention-list" role="listbox" aria-label={text.mention}>
      {offered.map((called, i) => (
        <li key={called.userID ?? 'all'} role="option" aria-selected={i === current} onMouseDown={(event) => event.preventDefault()} onClick={() => onChoose(called)}>
          @{called.name}
        </li>
      ))}
    </ul>
  );
}
