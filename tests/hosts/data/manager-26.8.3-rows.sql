-- Rows that were added to the seeded 26.8.3 database; see README.md.
begin;
-- names and keys of the examples are replaced; nothing in the dump opens anything
update scaling_groups set wsproxy_api_token = md5(wsproxy_api_token);
update users set main_access_key = null;
update keypairs set access_key = 'AKIA' || upper(substr(md5(access_key), 1, 16)), secret_key = md5(access_key);
update users set email = username || '@example.com', password = 'no password';
insert into users (uuid, username, email, need_password_change, full_name, status, status_info, domain_name, role, resource_policy, totp_activated, sudo_session_enabled)
  select md5('user' || n)::uuid, 'person' || n, 'person' || n || '@example.com', false, 'Person ' || n || ' Ünïcode', (case when n % 7 = 0 then 'inactive' else 'active' end)::userstatus, '', 'default', 'user', 'default', false, false from generate_series(1, 40) n;
insert into groups (id, name, description, is_active, domain_name, total_resource_slots, allowed_vfolder_hosts, dotfiles, resource_policy, type)
  select md5('group' || n)::uuid, 'team' || n, 'Team ' || n, true, 'default', '{}', '{"local:volume1": ["create-vfolder", "mount-in-session"]}', '\x90', 'default', 'general' from generate_series(1, 8) n;
insert into association_groups_users (user_id, group_id)
  select md5('user' || n)::uuid, md5('group' || (1 + n % 8))::uuid from generate_series(1, 40) n;
insert into keypairs (user_id, access_key, secret_key, is_active, is_admin, rate_limit, num_queries, "user", resource_policy, dotfiles, bootstrap_script)
  select 'person' || n || '@example.com', 'AKIA' || upper(substr(md5('key' || n), 1, 16)), md5('secret' || n), true, false, 30000, 0, md5('user' || n)::uuid, 'default', '\x90', '' from generate_series(1, 40) n;
update keypairs k set user_id = (select email from users u where u.uuid = k.user);
update users u set main_access_key = (select access_key from keypairs k where k."user" = u.uuid limit 1);
insert into vfolders (id, host, domain_name, quota_scope_id, name, usage_mode, permission, creator, ownership_type, "user", cloneable, status, status_history)
  select md5('folder' || n)::uuid, 'local:volume1', 'default', 'user:' || md5('user' || (1 + n % 40))::uuid, 'folder' || n, 'general', 'rw', 'person' || (1 + n % 40) || '@example.com', 'user', md5('user' || (1 + n % 40))::uuid, false, 'ready', '{}' from generate_series(1, 120) n;
insert into vfolders (id, host, domain_name, quota_scope_id, name, usage_mode, permission, creator, ownership_type, "group", cloneable, status, status_history)
  select md5('shared' || n)::uuid, 'local:volume1', 'default', 'project:' || md5('group' || n)::uuid, 'shared' || n, 'general', 'rw', 'person1@example.com', 'group', md5('group' || n)::uuid, false, 'ready', '{}' from generate_series(1, 8) n;
commit;
