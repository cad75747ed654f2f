import type { ReactNode } from 'react';

function Icon({ children }: { children: ReactNode }) {
  return (
    <svg className="icon" viewBox="0 0 24 24" aria-hidden="true" focusable="false">
      {children}
    </svg>
  );
}

export const OverviewIcon = () => <Icon><path d="M4 19V5M4 19h16M8 15l4-5 3 3 5-7" /></Icon>;
export const NodesIcon = () => <Icon><path d="M4 5h16v6H4zM4 13h16v6H4zM8 8v.01M8 16v.01" /></Icon>;
export const UsersIcon = () => <Icon><path d="M9 11a3.500 3.500 0 1 0 0-7 3.500 3.500 0 0 0 0 7zM2.500 20a6.500 6.500 0 0 1 13 0M16 4.500a3.500 3.500 0 0 1 0 6.500M18 14.500a6.500 6.500 0 0 1 3.500 5.500" /></Icon>;
export const ConversationsIcon = () => <Icon><path d="M4 5h16v11H9l-5 4z" /></Icon>;
export const TraceIcon = () => <Icon><path d="M4 6h6M4 12h16M4 18h10M14 6a2 2 0 1 0 .01 0M18 18a2 2 0 1 0 .01 0" /></Icon>;
export const StuckIcon = () => <Icon><path d="M12 4a8 8 0 1 0 0 16 8 8 0 0 0 0-16zM12 8v5M12 16v.01" /></Icon>;
export const SocketsIcon = () => <Icon><path d="M9 3v5M15 3v5M6 8h12v3a6 6 0 0 1-12 0zM12 17v4" /></Icon>;
export const JobsIcon = () => <Icon><path d="M12 4a8 8 0 1 0 0 16 8 8 0 0 0 0-16zM12 8v4l3 2" /></Icon>;
export const AnnounceIcon = () => <Icon><path d="M4 10v4h3l8 4V6L7 10zM18 9a4 4 0 0 1 0 6" /></Icon>;
export const AuditIcon = () => <Icon><path d="M6 3h9l4 4v14H6zM9 11h6M9 15h6" /></Icon>;
export const SettingsIcon = () => <Icon><path d="M4 7h9M17 7h3M4 17h3M11 17h9M15 5v4M9 15v4" /></Icon>;
export const MenuIcon = () => <Icon><path d="M4 7h16M4 12h16M4 17h16" /></Icon>;
export const DotsIcon = () => <Icon><path d="M12 5v.01M12 12v.01M12 19v.01" strokeWidth="3" /></Icon>;
export const Logo = () => (
  <svg className="logo" viewBox="0 0 32 32" aria-hidden="true">
    <rect width="32" height="32" rx="8" />
    <path d="M6 17l5 5 9-11M16 21l1.500 1.500L27 11" />
  </svg>
);
