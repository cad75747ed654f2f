/** Text with its http and https addresses as links. It is only ever text to the page. */
export function Linkified({ text }: { text: string }) {
  return (
    <span className="text" dir="auto">
      {split(text).map(({ words, href }, i) =>
        href ? (
          <a key={i} href={href} target="_blank" rel="noopener noreferrer nofollow">
            {words}
          </a>
        ) : (
          words
        ),
      )}
    </span>
  );
}

interface Piece {
  readonly words: string;
  readonly href: string | null;
}

/** Links in one message; what comes after is text. */
const mostLinks = 50;

function split(text: string): Piece[] {
  const pieces: Piece[] = [];
  let end = 0;
  for (const found of text.matchAll(/https?:\/\/[^\s<>"'“”‘’（）。，、；：！？]+/gi)) {
    const words = found[0].replace(/[.,;:!?)\]}]+$/, '');
    const href = hrefOf(words);
    if (!href) continue;
    pieces.push({ words: text.slice(end, found.index), href: null }, { words, href });
    end = found.index + words.length;
    if (pieces.length >= 2 * mostLinks) break;
  }
  pieces.push({ words: text.slice(end), href: null });
  return pieces;
}

function hrefOf(words: string): string | null {
  const url = URL.canParse(words) ? new URL(words) : null;
  return url?.protocol === 'https:' || url?.protocol === 'http:' ? url.href : null;
}
