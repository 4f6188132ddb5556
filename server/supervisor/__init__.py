"""Worker processes: started one after another, watched, restarted, stopped without orphans."""
