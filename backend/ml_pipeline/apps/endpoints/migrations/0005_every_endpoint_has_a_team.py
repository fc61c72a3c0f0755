import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    # One of its own: PostgreSQL alters no table to which the same transaction has written.

    dependencies = [
        ('endpoints', '0004_endpoints_of_teams'),
    ]

    operations = [
        migrations.AlterField(
            model_name='endpoint',
            name='team',
            field=models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='endpoints', to='accounts.team'),
        ),
    ]
