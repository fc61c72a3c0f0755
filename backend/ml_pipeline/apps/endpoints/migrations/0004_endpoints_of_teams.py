import django.db.models.deletion
from django.db import migrations, models


def give_to_default_team(apps, schema_editor):
    team = apps.get_model('accounts', 'Team').objects.get(name='default')
    apps.get_model('endpoints', 'Endpoint').objects.filter(team=None).update(team=team)


class Migration(migrations.Migration):

    dependencies = [
        ('accounts', '0002_teams'),
        ('endpoints', '0003_registration_facts'),
    ]

    operations = [
        migrations.AddField(
            model_name='endpoint',
            name='team',
            field=models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='endpoints', to='accounts.team'),
        ),
        migrations.RunPython(give_to_default_team, migrations.RunPython.noop),
    ]
