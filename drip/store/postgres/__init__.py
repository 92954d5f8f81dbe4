"""PostgreSQL. Imported only where `database` names one."""
